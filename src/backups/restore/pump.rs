//! What `pg_restore` prints for `psql`, without the ends of transactions in it: large objects come in one of their own,
//! which would end ours before the last row is checked. Pure.

/// Passes a script on, line by line; rows go through untouched.
#[derive(Debug, Default)]
pub(super) struct Pump {
    /// The line that is not whole yet; of a row, its first bytes.
    line: Vec<u8>,
    /// Whether rows are passing.
    rows: bool,
}

/// Longer than any mark that is looked for in rows.
const HEAD: usize = 4;

impl Pump {
    /// What of these bytes goes on.
    pub(super) fn pass(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.ends_with(b"\n");
            if self.rows {
                to.extend_from_slice(piece);
                let room = HEAD.saturating_sub(self.line.len());
                self.line.extend_from_slice(&piece[..piece.len().min(room)]);
                if whole {
                    self.rows = self.line != b"\\.\n";
                    self.line.clear();
                }
                continue;
            }
            self.line.extend_from_slice(piece);
            if whole {
                let ends = self.line == b"BEGIN;\n" || self.line == b"COMMIT;\n";
                if !ends {
                    to.extend_from_slice(&self.line);
                }
                self.rows = self.line.starts_with(b"COPY ") && self.line.ends_with(b" FROM stdin;\n");
                self.line.clear();
            }
        }
    }

    /// What is left at the end.
    pub(super) fn end(self, to: &mut Vec<u8>) {
        if !self.rows {
            to.extend_from_slice(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_transactions_go_and_rows_stay_however_they_are_cut() {
        let script = b"SET a = 0;\nCOPY public.a (t) FROM stdin;\nCOMMIT;\n\\.x\nBEGIN;\n\n\\.\n\nBEGIN;\n\nSELECT 1;\nCOMMIT;\n\nSELECT 2";
        let wanted =
            b"SET a = 0;\nCOPY public.a (t) FROM stdin;\nCOMMIT;\n\\.x\nBEGIN;\n\n\\.\n\n\nSELECT 1;\n\nSELECT 2";
        for size in 1..script.len() {
            let (mut pump, mut passed) = (Pump::default(), Vec::new());
            for piece in script.chunks(size) {
                pump.pass(piece, &mut passed);
            }
            pump.end(&mut passed);
            assert_eq!(String::from_utf8_lossy(&passed), String::from_utf8_lossy(wanted), "in pieces of {size}");
        }
    }
}
