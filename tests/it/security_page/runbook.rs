//! The commands of docs/incidents.md: whoever needs them has no time to find out that one has changed its name.

use std::process::Command;

use blackbox::healthcare::program;

use super::read;

/// The lines between the fences of its shell.
fn commands(page: &str) -> Vec<&str> {
    let mut is_shell = false;
    let mut found = Vec::new();
    for line in page.lines().map(str::trim) {
        match line.strip_prefix("```") {
            Some(language) => is_shell = language == "sh",
            None if is_shell => found.push(line),
            None => {}
        }
    }
    found
}

/// What the program says of a command, by which its options are known.
fn help(words: &[&str]) -> String {
    let output = Command::new(program()).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "there is no healthcare {}", words.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// The calls of a line: method and path, as a template's words.
fn calls(line: &str) -> Vec<(&str, Vec<&str>)> {
    let words: Vec<&str> = line.split([' ', '\'', '"', '(']).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(3).filter(|pair| pair[0] == "call" && pair[2].starts_with('/'));
    pairs
        .map(|pair| (pair[1], pair[2].split('?').next().unwrap_or_default().split('/').skip(1).collect()))
        .collect()
}

fn fits(template: &str, path: &[&str]) -> bool {
    let template: Vec<&str> = template.trim_start_matches("/api/").split('/').collect();
    template.len() == path.len()
        && template.iter().zip(path).all(|(there, here)| there == here || there.starts_with('{'))
}

#[test]
fn each_command_of_the_runbook_is_one_that_there_is() {
    let page = read("incidents.md");
    let (mut programs, mut called) = (0, 0);
    for line in commands(&page) {
        let line = line.split(" #").next().unwrap_or_default();
        if let Some(command) = line.strip_prefix("healthcare ") {
            let words: Vec<&str> = command.split_whitespace().collect();
            let options = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
            let help = help(&words[..options]);
            for option in words[options..].iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
                    "{line}: {option}"
                );
            }
            programs += 1;
        }
        for (method, path) in calls(line) {
            let is_one = contracts::operations()
                .any(|operation| operation.method.as_str() == method && fits(operation.path, &path));
            assert!(is_one, "{line}: {method} /api/{}", path.join("/"));
            called += 1;
        }
    }
    assert!(programs >= 3 && called >= 12, "{programs} commands and {called} calls are read");
}

#[test]
fn calls_are_read_as_a_shell_reads_them() {
    let line = r#"call PUT "/auth/users/$user" '{"status": "Disabled"}'"#;
    assert_eq!(calls(line), [("PUT", vec!["auth", "users", "$user"])]);
    assert_eq!(calls("x=$(call GET '/audit?limit=3' | jq .)"), [("GET", vec!["audit"])]);
    assert!(fits("/api/auth/users/{userId}", &["auth", "users", "$user"]));
    assert!(!fits("/api/auth/users", &["auth", "users", "$user"]) && !fits("/api/bills", &["audit"]));
}
