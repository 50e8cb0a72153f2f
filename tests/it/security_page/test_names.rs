//! Which functions of a source file are tests: those that say so, and those in the macros that run each on both engines.

/// What begins a block whose functions are all tests.
const MACROS: [&str; 5] =
    ["stack_tests! {", "on_both_engines! {", "channel_tests! {", "calendar_tests! {", "google_tests! {"];

/// The names of a file's tests.
pub(super) fn tests_in(source: &str) -> Vec<&str> {
    let (mut found, mut is_test, mut block) = (Vec::new(), false, None);
    for line in source.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if MACROS.iter().any(|name| text.contains(name)) {
            block = Some(indent);
        } else if block == Some(indent) && text.starts_with('}') {
            block = None;
        }
        is_test |= ["#[test]", "#[tokio::test"].iter().any(|attribute| text.starts_with(attribute));
        let in_block = block.is_some_and(|outer| indent == outer + 4);
        if let Some(name) = function(text) {
            if is_test || in_block {
                found.push(name);
            }
            is_test = false;
        }
    }
    found
}

fn function(text: &str) -> Option<&str> {
    // What is between the macro's own words and the function is whom it is tried with.
    let text = text.split_once(": async ").map_or(text, |(_, function)| function);
    let text = text.strip_prefix("async ").unwrap_or(text);
    let (name, _) = text.strip_prefix("fn ")?.split_once('(')?;
    Some(name)
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let source = "
fn helps() {}

#[test]
fn it_holds() { helps() }

#[tokio::test(flavor = \"multi_thread\")]
#[expect(clippy::panic)]
async fn it_holds_later() {
    async fn within() {}
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn on_both(stack: Arc<TestStack>) {
        async fn deeper() {}
    }
}

async fn after() {}
";
    assert_eq!(tests_in(source), ["it_holds", "it_holds_later", "on_both"]);
}
