//! What is a document, what is wrong with one, and where.
#![allow(clippy::unwrap_used, clippy::panic)]

use opentact_callflow::{Document, Fault, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, Mode, parse};
use proptest::prelude::*;

fn faults(xml: &str) -> String {
    let faults: Vec<Fault> = parse(xml, Mode::Strict).unwrap_err();
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn read(xml: &str) -> Document {
    parse(xml, Mode::Strict).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn both_generations_are_read_without_regard_to_case() {
    let now = read(
        r##"<?xml version="1.0" encoding="UTF-8"?>
        <Response>
            <Answer/>
            <Gather dtmf_length="1" dtmf_stop="#" timeout="5000" attempts="2" tag="menu">
                <Say lang="en-US" gender="FEMALE" type="Standard">Press one</Say>
                <DTMF value="1"><Dial timeout="30"><To>12015550123</To><To>bob@home.example</To></Dial></DTMF>
                <Default><Hangup/></Default>
                <Error say="true"/>
            </Gather>
            <Record tag="message" beep="true" timeout="60000"/>
            <Callback url="https://a.example/next" method="POST" body="true"><Meta name="a" value="1"/></Callback>
        </Response>"##,
    );
    assert_eq!(now.elements(), 14);
    read(
        r##"<response><GATHER numDigits="4" finishOnKey="*" callback="http://a.example/" METHOD="post">
        <play>http://a.example/menu.mp3</play><switch><case DTMF="1"/><default/></switch></GATHER>
        <dial><number>+12015550123</number><sip>sip:bob@10.0.0.1</sip></dial><reject reason="busy"/></response>"##,
    );
    read("\u{feff}<Response/>");
}

#[test]
fn every_fault_is_named_with_its_place() {
    insta::assert_snapshot!(faults(
        r##"<Response>
  <Sya>Hello</Sya>
  <Say gendre="MALE" gender="other">Hi</Say>
  <Say/>
  <Gather lenght="x" length="0" numDigits="2" timeout="soon">
    <Dial><To>1</To></Dial>
    <DTMF>one</DTMF>
    <Gahter/>
  </Gather>
  <Dial timeout="600001">stray <To>nobody</To></Dial>
  <Dial/>
  <Play>ftp://a.example/b</Play>
  <Play/>
  <Conference/>
  <Gather lang="en US" input="voice"/>
  <Hangup cause="128"/><Hangup cause="x"/>
  <Meta value="1"/>
  <Callback url="https://a.example/">https://b.example/</Callback>
  <Say>é <break time="1s"/> <brake/></Say>
  <To>1</To>
  stray
</Response>"##
    ));
}

#[test]
fn an_error_stands_in_or_after_its_element() {
    read("<Response><Say>Hi<Error/></Say><Dial><To>1</To></Dial><Error><Say>No</Say></Error><Error/></Response>");
    assert_eq!(
        faults("<Response><Error/><Say>Hi</Say></Response>"),
        "line 1, column 11: <Response>: `Error` stands in or after the element it is for\n"
    );
}

#[test]
fn what_is_no_xml_says_why_and_where() {
    let first = |xml: &str| faults(xml).trim_end().to_owned();
    assert_eq!(first(""), "line 1, column 1: not well-formed XML: the document does not have a root node");
    assert_eq!(
        first("<Response>\n  <Say>Hi</Sya>\n</Response>"),
        "line 2, column 10: not well-formed XML: expected 'Say' tag, not 'Sya'"
    );
    assert_eq!(first("<Answer/>"), "line 1, column 1: <Answer>: the root element is `Response`, not `Answer`");
    assert_eq!(
        first("<Response>\n<Say>Hi</Say>"),
        "line 2, column 14: not well-formed XML: the root node was opened but never closed"
    );
}

#[test]
fn document_types_and_entities_are_refused() {
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\n<Response><Say>&b;</Say></Response>";
    for mode in [Mode::Strict, Mode::Lenient] {
        let faults = parse(bomb, mode).unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "line 1, column 1: not well-formed XML: a document type declaration (DTD) is not allowed"
        );
    }
    assert!(parse("<Response><Say>&file;</Say></Response>", Mode::Lenient).is_err());
    assert!(parse("<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><Response/>", Mode::Lenient).is_err());
}

#[test]
fn limits_hold_in_both_modes() {
    let nested = |depth: usize| {
        let inside = depth - 1;
        format!("<Response>{}{}</Response>", "<Call field='a' value='b'>".repeat(inside), "</Call>".repeat(inside))
    };
    let many = |count: usize| format!("<Response>{}</Response>", "<Answer/>".repeat(count - 1));
    for mode in [Mode::Strict, Mode::Lenient] {
        assert!(parse(&nested(MAX_DEPTH), mode).is_ok());
        assert!(parse(&nested(MAX_DEPTH + 1), mode).unwrap_err().iter().any(|f| f.message.contains("deeper than 32")));
        assert!(parse(&nested(30_000), mode).is_err());
        assert_eq!(parse(&many(MAX_ELEMENTS), mode).unwrap().elements(), MAX_ELEMENTS);
        assert!(parse(&many(MAX_ELEMENTS + 1), mode).unwrap_err().iter().any(|f| f.message.contains("2000")));
        assert!(parse(&many(100_000), mode).is_err());
        let big = format!("<Response><!--{}--></Response>", "x".repeat(MAX_BYTES));
        assert!(parse(&big, mode).unwrap_err()[0].message.contains("1048576"));
    }
}

#[test]
fn unknown_elements_and_marks_count_too() {
    let xml = format!("<Response>{}</Response>", "<x/>".repeat(MAX_ELEMENTS));
    assert!(parse(&xml, Mode::Lenient).is_err());
    let xml = format!("<Response><Say>a{}</Say></Response>", "<s>".repeat(40) + &"</s>".repeat(40));
    assert!(parse(&xml, Mode::Lenient).is_err());
}

#[test]
fn a_document_of_faults_is_reported_up_to_a_hundred() {
    let xml = format!("<Response>{}</Response>", "<Nothing/>".repeat(500));
    assert_eq!(parse(&xml, Mode::Strict).unwrap_err().len(), 100);
    assert!(parse(&xml, Mode::Lenient).is_ok());
}

#[test]
fn places_are_counted_in_characters() {
    let faults = parse("<Response>\r\n<!-- ünïcödé --><Say>ü</Say><Wrong/></Response>", Mode::Strict).unwrap_err();
    assert_eq!((faults[0].line, faults[0].column), (2, 29));
}

#[test]
fn values_with_variables_are_checked_when_they_run() {
    read(
        "<Response><Pause length='{{meta.wait}}'/><Dial><To>{{meta.boss}}</To></Dial><Play>{{meta.url}}</Play></Response>",
    );
    assert!(parse("<Response><Pause length='{{'/></Response>", Mode::Strict).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = parse(&text, Mode::Strict);
        let _ = parse(&format!("<Response>{text}</Response>"), Mode::Lenient);
    }

    #[test]
    fn what_is_refused_has_a_place_in_the_text(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("<Say>"), Just("</Say>"), Just("<Gather length='x'>"), Just("</Gather>"), Just("<Error/>"),
                Just("\n"), Just("text"), Just("<Dial><To>1</To></Dial>"), Just("<Pause length='9'/>"),
                Just("<Unknown a='b'/>"), Just("é"),
            ],
            0..20,
        )
    ) {
        let xml = format!("<Response>{}</Response>", parts.concat());
        match parse(&xml, Mode::Strict) {
            Ok(_) => prop_assert!(parse(&xml, Mode::Lenient).is_ok()),
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    let line = xml.lines().nth(fault.line as usize - 1);
                    let inside = line.is_some_and(|line| fault.column as usize <= line.chars().count() + 1);
                    prop_assert!(inside, "{}", fault);
                }
            }
        }
    }
}
