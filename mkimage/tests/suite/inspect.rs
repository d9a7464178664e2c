//! What `inspect` says of an image.

use crate::sample;
use mkimage::inspect::{InspectError, report};

fn sample_report() -> mkimage::inspect::Report {
    report(&sample::image("a")).unwrap()
}

/// A text with the parts that change with every version of the workspace replaced.
fn stable(text: &str) -> String {
    text.replace(&sample::image("a").version, "VERSION")
}

#[test]
fn json() {
    let json = serde_json::to_string_pretty(&sample_report()).unwrap();
    assert_eq!(stable(&json), include_str!("../fixtures/inspect.json").trim_end());
}

#[test]
fn table() {
    assert_eq!(stable(&sample_report().to_string()), include_str!("../fixtures/inspect.txt"));
}

#[test]
fn the_whole_policy() {
    let image = sample::served_image();
    let report = report(&image).unwrap();
    let text = report.to_string().replace(&image.version, "VERSION");
    assert_eq!(text, include_str!("../fixtures/inspect-policy.txt"));
    let json = serde_json::to_string_pretty(&report).unwrap().replace(&image.version, "VERSION");
    assert_eq!(json, include_str!("../fixtures/inspect-policy.json").trim_end());
    let (_, policy) = text.split_once("services\n\n").unwrap();
    let again = libconf::Config::parse(policy).unwrap();
    assert_eq!(Some(again.policies()), image.policy().unwrap(), "what is shown can be compiled again");
}

#[test]
fn an_image_that_does_not_boot_is_refused() {
    let mut image = sample::image("a");
    image.abi = 7;
    assert!(matches!(report(&image), Err(InspectError::Verify(_))));
    let mut image = sample::image("a");
    image.files[0].bytes = b"no ELF".to_vec();
    let message = report(&image).unwrap_err().to_string();
    assert!(message.starts_with("`kernel` is no ELF file that can be read"), "{message}");
}
