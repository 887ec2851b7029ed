//! A tree back to text: a part of a file that becomes a file of its own. Comments are lost; what it
//! means is not.

use super::{Kind, Node, Value};

/// The text of a tree, in block style.
pub fn emit(node: &Node) -> String {
    let mut text = String::new();
    match &node.value {
        Value::Null | Value::Scalar(_) => {
            text.push_str(scalar(node).trim_start());
            text.push('\n');
        }
        Value::List(items) if items.is_empty() => text.push_str("[]\n"),
        Value::Map(entries) if entries.is_empty() => text.push_str("{}\n"),
        _ => block(node, 0, &mut text),
    }
    text
}

fn block(node: &Node, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                text.push_str(&format!("{indent}{}:", quoted(&key.text)));
                below(value, depth, text);
            }
        }
        Value::List(items) => {
            for item in items {
                text.push_str(&format!("{indent}-"));
                below(item, depth, text);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

fn below(node: &Node, depth: usize, text: &mut String) {
    let several = match &node.value {
        Value::Map(entries) => !entries.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Null | Value::Scalar(_) => false,
    };
    if several {
        text.push('\n');
        block(node, depth + 1, text);
    } else {
        text.push_str(&scalar(node));
        text.push('\n');
    }
}

/// What stands on one line, with the blank before it.
fn scalar(node: &Node) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::List(_) => " []".to_owned(),
        Value::Map(_) => " {}".to_owned(),
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Text => format!(" {}", quoted(&scalar.text)),
            // As it was typed: `027` stays what it is.
            Kind::Bool(_) | Kind::Int(_) | Kind::Float => format!(" {}", scalar.text),
        },
    }
}

/// JSON's quoting is YAML's, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// A tree without its places.
    fn shape(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar(scalar) => format!("{:?}", scalar),
            Value::List(items) => format!("{:?}", items.iter().map(shape).collect::<Vec<_>>()),
            Value::Map(entries) => {
                format!("{:?}", entries.iter().map(|(k, v)| (k.text.clone(), shape(v))).collect::<Vec<_>>())
            }
        }
    }

    #[test]
    fn a_tree_reads_back_as_what_it_was() {
        for text in [
            "a: 1\nb: [x, 'y: z', \"q\\\"\\n\", 027, 1.10, true, 'true', ~]\nc: {}\nd: []\ne: {f: [{g: h, i: [j]}]}\n",
            "- - a\n  - b\n- c: |\n    two\n    lines\n",
            "plain",
            "v: '%h/${X} # no comment'\nempty:\nü: \u{1f600}\n",
        ] {
            let tree = parse(text).expect("YAML");
            let again = emit(&tree);
            assert_eq!(shape(&parse(&again).expect("YAML")), shape(&tree), "{again}");
        }
    }
}
