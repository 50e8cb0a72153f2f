//! Archives of images: by another name, and unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{archive, said};

/// The archive of one of the project's images by another name, in `folder`: what a release changes for a cluster is the name.
pub(crate) fn renamed(image: &str, reference: &str, folder: &Path) -> PathBuf {
    let (content, renamed) = (folder.join("content"), folder.join("image.tar"));
    unpack(&archive(image), &content);
    let manifest = content.join("manifest.json");
    let mut images: Value = read(&manifest);
    images[0]["RepoTags"] = Value::from(vec![reference]);
    fs::write(&manifest, images.to_string()).expect("a manifest");
    said(Command::new("tar").arg("-cf").arg(&renamed).arg("-C").arg(&content).arg("."));
    renamed
}

/// The operator's program, as it is in its image: it runs on this machine too.
pub(crate) fn operator_program() -> PathBuf {
    static UNPACKED: OnceLock<TempDir> = OnceLock::new();
    let folder = UNPACKED.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        unpack(&archive("healthcare-operator"), folder.path());
        unpack(&folder.path().join("layer.tar"), folder.path());
        folder
    });
    folder.path().join("healthcare-operator")
}

fn unpack(archive: &Path, into: &Path) {
    fs::create_dir_all(into).expect("a folder");
    said(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(into));
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a manifest");
    serde_json::from_str(&text).expect("a manifest")
}
