//! The fields of a request, as the protocol tables declare them.

/// A field: its name, the last part of its type's name, and how many bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
}

/// The fields of a declaration such as `process: Endpoint, signal: u32, `.
pub(crate) fn fields(declaration: &'static str) -> impl Iterator<Item = Field> {
    declaration.split(", ").filter_map(|field| {
        let (name, kind) = field.split_once(':')?;
        let kind = if kind.contains('[') { kind } else { kind.rsplit(':').next()? };
        Some(Field { name: name.trim(), kind: kind.trim() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_declaration_falls_into_its_fields() {
        let names = |declaration| fields(declaration).map(|f| (f.name, f.kind)).collect::<Vec<_>>();
        assert_eq!(names(""), []);
        let kill = protocol::kernel::PROTOCOL.call("kill").unwrap();
        assert_eq!(names(kill.request), [("process", "Endpoint"), ("signal", "u32")]);
        let settle = protocol::vmctl::PROTOCOL.call("settle").unwrap();
        assert_eq!(names(settle.request)[0], ("process", "Endpoint"), "{}", settle.request);
        let exec = protocol::kernel::PROTOCOL.call("exec").unwrap();
        assert!(names(exec.request)[0].1.starts_with('['), "{}", exec.request);
    }
}
