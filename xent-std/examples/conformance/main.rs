//! The conformance driver: one JSON object a line in, one a line out, in the same order.
//!
//! ```text
//! cargo run --release -p xent-std --example conformance < requests.jsonl > responses.jsonl
//! ```
//!
//! ```text
//! {"op": "cross_entropy", "shape": [1, 4], "x": [20, 0, 0, 0], "labels": [0]}
//! {"y":[6.183461e-9]}
//! ```
//!
//! It lets any language call xent, to check it against other people's test cases. Whatever is wrong
//! with a line is the answer to that line; the program ends when its input does. It holds no
//! arithmetic of its own:
//!
//! | file | what |
//! | --- | --- |
//! | `request.rs` | the fields of a line |
//! | `number.rs` | numbers as they are written in JSON |
//! | `operation.rs` | which fields an operation takes, and its call of the library |
//! | `response.rs` | the line that answers |

mod number;
mod operation;
mod request;
mod response;

use std::io::{self, BufRead, Write};

use request::Request;
use response::{Failure, Response};

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? != 0 {
        // Through one buffer, so that a line goes out in one piece; then flushed, so that a process
        // that waits for it before its next request gets it.
        let mut answer = serde_json::to_vec(&respond(&line))?;
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
        line.clear();
    }
    Ok(())
}

fn respond(line: &[u8]) -> Response {
    match answer(line) {
        Ok(response) => response,
        Err(failure) => Response::from(failure),
    }
}

fn answer(line: &[u8]) -> Result<Response, Failure> {
    let line = str::from_utf8(line)
        .map_err(|error| Failure::BadRequest(format!("the line is not UTF-8: {error}")))?;
    operation::run(&Request::parse(line)?)
}
