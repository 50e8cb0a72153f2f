//! The forms that texts must have: patterns for the schema, and words for people.

/// A cron expression, from what each field's numbers may be: a list of `*`, numbers and ranges, each with a step if need be.
macro_rules! cron {
    ($first:literal $(, $other:literal)*) => {
        concat!("^(@(hourly|daily|weekly|monthly)|", cron!(field $first), $(" ", cron!(field $other),)* ")$")
    };
    (field $number:literal) => {
        concat!(cron!(item $number), "(,", cron!(item $number), ")*")
    };
    (item $number:literal) => {
        concat!("(\\*|", $number, "(-", $number, ")?)(/[1-9][0-9]?)?")
    };
}

/// The name of a Kubernetes object: an RFC 1123 subdomain, loosely. S3's buckets are called so too.
pub(crate) const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// A key inside a Secret; as `settings` has it.
pub(crate) const SECRET_KEY: &str = r"^[-._a-zA-Z0-9]+$";
/// An id in our API, of a provider or a payer.
pub(crate) const ID: &str = r"^[A-Za-z0-9][A-Za-z0-9._-]*$";
/// An HTTP address without user and password, which belong in a Secret.
pub(crate) const URL: &str = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$";
/// The address of a host, and no more than that.
pub(crate) const ENDPOINT: &str =
    r"^https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?$";
/// A region of an object store.
pub(crate) const REGION: &str = r"^[A-Za-z0-9][A-Za-z0-9-]*$";
/// A folder in a bucket, without a slash first or last.
pub(crate) const FOLDER: &str = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$";
/// `+` and 7 to 15 digits.
pub(crate) const PHONE: &str = r"^\+[0-9]{7,15}$";
/// `0.1.0` or `0.2.0-rc.1`.
pub(crate) const VERSION: &str = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$";
/// An IANA time zone's name; whether there is one is asked later.
pub(crate) const TIME_ZONE: &str = r"^[A-Za-z0-9+_/-]+$";
/// Three capitals; whether there is such a currency is asked later.
pub(crate) const CURRENCY: &str = r"^[A-Z]{3}$";
/// A registry and a folder in it.
pub(crate) const REGISTRY: &str = r"^[A-Za-z0-9][A-Za-z0-9.:/_-]*[A-Za-z0-9]$";
/// An image's tag.
pub(crate) const TAG: &str = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$";
/// An environment variable's name.
pub(crate) const ENV_NAME: &str = r"^[A-Za-z_][A-Za-z0-9_]*$";
/// A path template.
pub(crate) const PATH: &str = r"^(/([A-Za-z0-9._~-]+|\{[A-Za-z0-9]+\}))+$";
/// A DNS name.
pub(crate) const HOST: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A DNS name, or an address.
pub(crate) const HOST_OR_ADDRESS: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*|[0-9a-f]*:[0-9a-f:.]+)$";
/// An origin whose pages come unchanged: by TLS, or from the machine that they are looked at on.
pub(crate) const ORIGIN: &str = r"^(https://([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*|\[[0-9a-f:.]+\])|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]{1,5})?$";
/// A header's name; as `settings` has it.
pub(crate) const HEADER: &str = r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$";
/// A provider's account.
pub(crate) const ACCOUNT: &str = r"^[A-Za-z0-9_-]+$";
/// A Google Cloud project.
pub(crate) const PROJECT: &str = r"^[a-z0-9-]+$";
/// Whom a push service may contact.
pub(crate) const CONTACT: &str = r"^(mailto:|https://)[^\s]+$";
/// A mailbox, without a name before it.
pub(crate) const MAILBOX: &str = r"^[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]+$";
/// A namespace: an RFC 1123 label.
pub(crate) const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A container image: a name, and a tag or a digest.
pub(crate) const IMAGE: &str = r"^[A-Za-z0-9][A-Za-z0-9._/:-]*(@sha256:[0-9a-f]{64})?$";
/// What `tracing` calls a filter: levels, by target.
pub(crate) const LOG_LEVEL: &str = r"^([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace)(,([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace))*$";
/// Five fields, or a word: what Kubernetes' CronJobs take, but for the names of days and months.
pub(crate) const CRON: &str =
    cron!("[0-5]?[0-9]", "([01]?[0-9]|2[0-3])", "(0?[1-9]|[12][0-9]|3[01])", "(0?[1-9]|1[0-2])", "[0-6]");
/// A [`super::Span`].
pub(crate) const SPAN: &str = "^([0-9]{1,5}d|([0-9]{1,5}(ms|s|m|h)){1,4})$";
/// A [`super::Quantity`].
pub(crate) const QUANTITY: &str = r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$";

/// What a text must be to match a pattern.
pub(crate) fn in_words(pattern: &str) -> Option<&'static str> {
    Some(match pattern {
        OBJECT_NAME => "a name of small letters, digits, dashes and dots",
        SECRET_KEY => "a key in a Secret: letters, digits, dots, dashes and underscores",
        ID => "an id: letters, digits, dots, dashes and underscores",
        URL => "an address such as https://host:8443/path, without user and password",
        ENDPOINT => "an address such as https://s3.example.org:9000, without a path",
        REGION => "a region such as eu-central-1",
        FOLDER => "a folder such as backups/clinic, without a slash first or last",
        PHONE => "a phone number: + and 7 to 15 digits",
        VERSION => "a version such as 0.1.0",
        TIME_ZONE => "an IANA time zone such as Europe/Berlin",
        CURRENCY => "the ISO 4217 code of a currency, such as EUR",
        REGISTRY => "a registry and a folder, such as registry.example/healthcare",
        TAG => "an image tag: letters, digits, dots, dashes and underscores",
        ENV_NAME => "the name of an environment variable: letters, digits and underscores",
        PATH => "a path such as /api/patients, without a slash at its end",
        HOST => "a host name such as clinic.example.org",
        HOST_OR_ADDRESS => "a host name such as redis.example.org, or an address",
        ORIGIN => {
            "an origin such as https://portal.example.org, without a path; http:// is for localhost alone"
        }
        HEADER => "a header's name such as X-API-Key",
        ACCOUNT => "an account: letters, digits, dashes and underscores",
        PROJECT => "a project: small letters, digits and dashes",
        CONTACT => "an address that begins with mailto: or https://",
        MAILBOX => "a mailbox such as privacy@clinic.example",
        LABEL => "the name of a namespace: small letters, digits and dashes",
        IMAGE => "an image such as registry.example/postgres:17",
        LOG_LEVEL => "error, warn, info, debug or trace, or a filter such as info,gateway=debug",
        CRON => "a schedule such as 0 2 * * *: minute, hour, day, month, day of the week",
        SPAN => "a duration such as 500ms, 30s, 15m, 1h30m or 7d",
        QUANTITY => "an amount such as 250m, 2, 512Mi or 10Gi",
        _ => return None,
    })
}
