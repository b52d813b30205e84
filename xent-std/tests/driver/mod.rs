//! The conformance driver as a process, and its answers.
//!
//! `cargo test` builds the driver with the examples. `cargo test --test NAME` alone does not: it tests the
//! driver that was built last, and fails where there is none.

#![allow(dead_code, reason = "each of the tests that share this module uses a part of it")]

mod command;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use command::command;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The driver, running.
pub(crate) struct Driver {
    pub(crate) process: Child,
    pub(crate) requests: Option<ChildStdin>,
    pub(crate) responses: Receiver<String>,
}

impl Driver {
    pub(crate) fn start() -> Driver {
        let path = driver_path();
        let mut process =
            command(&path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(
                |e| panic!("{e}: {}\nbuild it: cargo build --examples", path.display()),
            );
        let requests = process.stdin.take();
        let output = process.stdout.take().expect("stdout is piped");
        // A thread reads, so that a driver that does not answer fails the test instead of stopping it.
        let (sender, responses) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Driver { process, requests, responses }
    }

    /// Writes a line and waits for its answer, which must come before the next line is written.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        let request = request.as_ref();
        self.send(request);
        self.requests.as_mut().expect("the driver runs").flush().expect("the driver reads");
        self.answer(request)
    }

    /// Writes a line. Its answer comes when its turn is; the thread that reads keeps all of them, so any
    /// number of lines can be sent first.
    pub(crate) fn send(&mut self, request: impl AsRef<[u8]>) {
        let input = self.requests.as_mut().expect("the driver runs");
        input.write_all(request.as_ref()).expect("the driver reads");
        input.write_all(b"\n").expect("the driver reads");
    }

    /// The next answer, which is that of `request`.
    pub(crate) fn answer(&mut self, request: impl AsRef<[u8]>) -> Response {
        Response::parse(&self.answer_line(request))
    }

    /// As it is written.
    pub(crate) fn answer_line(&mut self, request: impl AsRef<[u8]>) -> String {
        match self.responses.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => line,
            Err(error) => panic!("no answer to {}: {error}", shown(request.as_ref())),
        }
    }

    /// Ends the input: no line is left, and the driver ends well.
    pub(crate) fn finish(mut self) {
        drop(self.requests.take());
        let status = self.process.wait().expect("the driver ends");
        assert!(status.success(), "the driver ended with {status}");
        let rest: Vec<String> = self.responses.iter().collect();
        assert_eq!(rest, [""; 0], "more lines out than in");
    }
}

/// `target/PROFILE/examples`, beside `target/PROFILE/deps`, where this test lies.
fn driver_path() -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    profile.join("examples").join(format!("conformance{}", env::consts::EXE_SUFFIX))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    pub(crate) y: Option<Vec<Box<RawValue>>>,
    pub(crate) gradient: Option<Vec<Box<RawValue>>>,
    pub(crate) backends: Option<Vec<String>>,
    pub(crate) detected: Option<String>,
    pub(crate) error: Option<Description>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl Response {
    pub(crate) fn parse(line: &str) -> Response {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the answer {line}"))
    }

    /// The values, whose text is the nearest f32's.
    pub(crate) fn values(&self) -> Vec<f32> {
        let y = self.y.as_ref().unwrap_or_else(|| panic!("values were expected: {self:?}"));
        numbers(y)
    }

    pub(crate) fn kind(&self) -> &str {
        let error =
            self.error.as_ref().unwrap_or_else(|| panic!("an error was expected: {self:?}"));
        assert!(!error.message.is_empty() && self.y.is_none(), "{self:?}");
        &error.kind
    }
}

pub(crate) fn numbers(texts: &[Box<RawValue>]) -> Vec<f32> {
    texts
        .iter()
        .map(|text| match text.get() {
            "\"nan\"" => f32::NAN,
            "\"inf\"" => f32::INFINITY,
            "\"-inf\"" => f32::NEG_INFINITY,
            number => number.parse().expect("a JSON number"),
        })
        .collect()
}

/// The beginning of a request.
pub(crate) fn shown(request: &[u8]) -> String {
    let end = request.len().min(200);
    String::from_utf8_lossy(&request[..end]).into_owned()
}
