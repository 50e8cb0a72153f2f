//! [`Archive`]: an export as it grows, a zip of JSON files, each compressed as it is written and hashed; bounded, since it is in memory
//! until all of it is there.

use std::io::{Cursor, ErrorKind, Seek, SeekFrom, Write};

use aws_lc_rs::digest::{Context, SHA256};
use contracts::export::{ExportFile, ExportManifest, Zip};
use data_encoding::HEXLOWER;
use serde_json::value::RawValue;
use settings::ServiceName;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// How long an archive may be, bytes. Text like ours is a fifth or less of its length in it.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why an archive cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is longer than an archive may be.
    #[error("more is held than one export takes")]
    TooLarge,
    /// It cannot be written.
    #[error("the archive cannot be written: {0}")]
    Zip(ZipError),
}

impl From<ZipError> for ArchiveError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            error => Self::Zip(error),
        }
    }
}

impl From<std::io::Error> for ArchiveError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == ErrorKind::FileTooLarge { Self::TooLarge } else { Self::Zip(ZipError::Io(error)) }
    }
}

/// An export that is being put together.
pub struct Archive {
    zip: ZipWriter<Bounded>,
    open: Option<Open>,
    files: Vec<ExportFile>,
}

/// The file that is being written.
struct Open {
    file: ExportFile,
    digest: Context,
}

impl Default for Archive {
    fn default() -> Self {
        Self::new()
    }
}

impl Archive {
    /// An empty one.
    pub fn new() -> Self {
        Self::within(BYTES_MAX)
    }

    fn within(bytes_max: u64) -> Self {
        let bytes = Bounded { bytes: Cursor::new(Vec::new()), bytes_max };
        Self { zip: ZipWriter::new(bytes), open: None, files: Vec::new() }
    }

    /// Writes items to the file of a service's kind: to the one that is open, or to a new one.
    pub fn add(
        &mut self,
        service: ServiceName,
        kind: &str,
        items: &[Box<RawValue>],
    ) -> Result<(), ArchiveError> {
        let is_open = |open: &Open| open.file.service == service.as_str() && open.file.kind == kind;
        if !self.open.as_ref().is_some_and(is_open) {
            self.close()?;
            self.begin(service, kind)?;
        }
        for item in items {
            let is_first = self.open.as_ref().is_some_and(|open| open.file.items == 0);
            self.write(if is_first { b"[\n" } else { b",\n" })?;
            self.write(item.get().as_bytes())?;
            if let Some(open) = &mut self.open {
                open.file.items += 1;
            }
        }
        Ok(())
    }

    /// The whole archive, with what is in it as its last file.
    pub fn finish(
        mut self,
        manifest: impl FnOnce(Vec<ExportFile>) -> ExportManifest,
    ) -> Result<Zip, ArchiveError> {
        self.close()?;
        let manifest = serde_json::to_vec_pretty(&manifest(std::mem::take(&mut self.files)))
            .map_err(std::io::Error::other)?;
        self.zip.start_file("manifest.json", options())?;
        self.zip.write_all(&manifest)?;
        Ok(Zip(self.zip.finish()?.bytes.into_inner()))
    }

    fn begin(&mut self, service: ServiceName, kind: &str) -> Result<(), ArchiveError> {
        let name = format!("{service}/{kind}.json");
        self.zip.start_file(name.as_str(), options())?;
        let (service, kind) = (service.to_string(), kind.to_owned());
        let file = ExportFile { name, service, kind, items: 0, bytes: 0, sha256: String::new() };
        self.open = Some(Open { file, digest: Context::new(&SHA256) });
        Ok(())
    }

    fn close(&mut self) -> Result<(), ArchiveError> {
        let Some(items) = self.open.as_ref().map(|open| open.file.items) else { return Ok(()) };
        self.write(if items == 0 { b"[]\n" } else { b"\n]\n" })?;
        if let Some(Open { mut file, digest }) = self.open.take() {
            file.sha256 = HEXLOWER.encode(digest.finish().as_ref());
            self.files.push(file);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.zip.write_all(bytes)?;
        if let Some(open) = &mut self.open {
            open.digest.update(bytes);
            open.file.bytes += bytes.len() as u64;
        }
        Ok(())
    }
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// Bytes in memory, up to a bound.
struct Bounded {
    bytes: Cursor<Vec<u8>>,
    bytes_max: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.position() + bytes.len() as u64 > self.bytes_max {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use contracts::export::ExportAskedBy;
    use contracts::id::PatientId;

    use super::*;

    fn items(texts: &[&str]) -> Vec<Box<RawValue>> {
        texts.iter().map(|text| RawValue::from_string((*text).to_owned()).unwrap()).collect()
    }

    fn manifest(files: Vec<ExportFile>) -> ExportManifest {
        ExportManifest {
            patient_id: PatientId::parse("12345").unwrap(),
            begun_at: chrono::DateTime::UNIX_EPOCH,
            asked_by: ExportAskedBy { user_id: "usr_1".to_owned(), username: None, roles: Vec::new() },
            files,
            switched_off: Vec::new(),
        }
    }

    #[test]
    fn what_is_added_in_pieces_reads_back_as_one_array_a_file_and_the_manifest_tells_of_each() {
        let mut archive = Archive::new();
        archive.add(ServiceName::BillingService, "bills", &items(&["{\"total\":100.00}"])).unwrap();
        archive.add(ServiceName::BillingService, "bills", &items(&["2", "3"])).unwrap();
        archive.add(ServiceName::BillingService, "accesses", &[]).unwrap();
        let Zip(bytes) = archive.finish(manifest).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut read = |name: &str| {
            let mut text = String::new();
            zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let bills = read("billing-service/bills.json");
        assert_eq!(bills, "[\n{\"total\":100.00},\n2,\n3\n]\n");
        assert_eq!(read("billing-service/accesses.json"), "[]\n");
        let manifest: ExportManifest = serde_json::from_str(&read("manifest.json")).unwrap();
        let told: Vec<_> =
            manifest.files.iter().map(|file| (file.kind.as_str(), file.items, file.bytes)).collect();
        assert_eq!(told, [("bills", 3, bills.len() as u64), ("accesses", 0, 3)]);
        let digest = aws_lc_rs::digest::digest(&SHA256, bills.as_bytes());
        assert_eq!(manifest.files[0].sha256, HEXLOWER.encode(digest.as_ref()));
    }

    #[test]
    fn an_archive_has_a_bound() {
        let mut archive = Archive::within(1_000);
        let word = |at: u32| {
            format!("\"{}\"", HEXLOWER.encode(aws_lc_rs::digest::digest(&SHA256, &at.to_le_bytes()).as_ref()))
        };
        let added = (0..10_000)
            .try_for_each(|at| archive.add(ServiceName::BillingService, "bills", &items(&[&word(at)])));
        assert!(matches!(added, Err(ArchiveError::TooLarge)), "{added:?}");
    }
}
