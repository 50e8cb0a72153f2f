//! The few words of an answer that `rusty-s3` does not read. Stores differ in namespaces and in what else they say; names of elements they
//! share.

/// What stands in each element of this name, in their order.
pub(crate) fn each<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let after = &rest[rest.find(&open)? + open.len()..];
            let tag_end = after.find('>')?;
            rest = &after[tag_end + 1..];
            // `<Upload>` is not `<UploadId>`.
            if !matches!(after.as_bytes().first(), Some(b'>' | b' ' | b'/' | b'\t' | b'\r' | b'\n')) {
                continue;
            }
            if after[..tag_end].ends_with('/') {
                return Some("");
            }
            let end = rest.find(&close)?;
            let inner = &rest[..end];
            rest = &rest[end + close.len()..];
            return Some(inner);
        }
    })
}

/// The text of the first element of this name.
pub(crate) fn text(xml: &str, name: &str) -> Option<String> {
    let text = each(xml, name).next()?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&#39;", "'").replace("&#34;", "\"").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_whole_name() {
        let xml = r#"<?xml version="1.0"?><List xmlns="a"><UploadIdMarker/><Upload><UploadId>1</UploadId><Key>a&amp;b</Key></Upload><Upload
            ><UploadId>2</UploadId></Upload></List>"#;
        let ids: Vec<_> = each(xml, "Upload").filter_map(|upload| text(upload, "UploadId")).collect();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(text(xml, "Key").as_deref(), Some("a&b"));
        assert_eq!(text(xml, "UploadIdMarker").as_deref(), Some(""));
        assert_eq!(text(xml, "Status"), None);
    }

    #[test]
    fn half_an_answer_says_nothing() {
        for xml in ["", "<Code", "<Code>", "<Code>NoSuch", "<Code>NoSuch</Cod", "Code>", "<Code/"] {
            assert_eq!(text(xml, "Code"), None, "{xml}");
        }
    }
}
