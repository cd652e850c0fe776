//! The settings of TLS: a certificate and its key, or neither.
//!
//! Uses: nothing.

use std::path::PathBuf;

use super::raw::Reader;

/// Two PEM files that belong together; they are read when the gateway starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its root.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

impl Reader<'_> {
    pub(super) fn tls(&mut self) -> Option<TlsFiles> {
        let (given, missing) = match (self.file("tls-cert"), self.file("tls-key")) {
            (Some(cert), Some(key)) => return Some(TlsFiles { cert, key }),
            (None, None) => return None,
            (Some(_), None) => ("tls-cert", "tls-key"),
            (None, Some(_)) => ("tls-key", "tls-cert"),
        };
        if let Some(given) = self.given(given) {
            self.problem(format!("{}: TLS needs {missing} too", given.place));
        }
        None
    }

    fn file(&mut self, name: &str) -> Option<PathBuf> {
        let parse = |text: &str| match text {
            "" => Err("it is empty; give a file".to_owned()),
            file => Ok(Some(PathBuf::from(file))),
        };
        self.value(name, || None, parse)
    }
}
