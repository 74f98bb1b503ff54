//! `<Call>`: runs what is inside when a field of the call equals a value.

use super::{Cut, Cx, Flow, Run};

#[derive(Debug)]
pub(super) struct CallBlock;

impl Run for CallBlock {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let field = cx.args.text("field").unwrap_or_default();
        let value = cx.args.text("value").unwrap_or_default();
        let actual = match field {
            "state" => Some(if cx.live { "live" } else { "ringing" }),
            "uuid" => cx.variables.get("call"),
            field => cx.variables.get(field),
        };
        match equals(actual, value) {
            true => Flow::Block(cx.node.children.clone()),
            false => Flow::done(format!("{field} differs")),
        }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}

/// As text, number, boolean or null, whichever `value` is.
fn equals(actual: Option<&str>, value: &str) -> bool {
    let Some(actual) = actual else { return value.eq_ignore_ascii_case("null") };
    if actual == value {
        return true;
    }
    match (actual.parse::<f64>(), value.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => {
            let boolean = |text: &str| text.to_ascii_lowercase().parse::<bool>().ok();
            boolean(actual).is_some_and(|a| boolean(value) == Some(a))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::equals;

    #[test]
    fn values_are_compared_by_what_they_are() {
        assert!(equals(Some("+12015550100"), "12015550100"));
        assert!(equals(Some("True"), "true"));
        assert!(equals(Some("007"), "7"));
        assert!(equals(None, "null"));
        assert!(!equals(Some(""), "null"));
        assert!(!equals(None, ""));
        assert!(!equals(Some("alice"), "Alice"));
    }
}
