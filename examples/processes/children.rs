//! The other processes, as the coordinator sees them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use super::Outcome;
use super::protocol::Message;

/// All of them. Dropping it ends them.
#[derive(Debug)]
pub struct Children {
    list: Vec<One>,
    sender: Sender<(usize, Option<Message>)>,
    inbox: Receiver<(usize, Option<Message>)>,
    deadline: Instant,
}

#[derive(Debug)]
struct One {
    name: String,
    process: Child,
    input: ChildStdin,
}

impl Children {
    /// None yet; no wait for any of them goes beyond `deadline`.
    #[must_use]
    pub fn new(deadline: Instant) -> Self {
        let (sender, inbox) = channel();
        Children {
            list: Vec::new(),
            sender,
            inbox,
            deadline,
        }
    }

    /// Runs this program again with `arguments`, as the process of this name. Returns the child's number.
    ///
    /// # Errors
    ///
    /// It cannot be run.
    ///
    /// # Panics
    ///
    /// Never: the child's streams are piped.
    pub fn start(
        &mut self,
        name: impl Into<String>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Outcome<usize> {
        let name = name.into();
        let program = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{name}: {e}"))?;
        let input = process.stdin.take().expect("it is piped");
        let output = process.stdout.take().expect("it is piped");
        let number = self.list.len();
        let sender = self.sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // If the coordinator is gone, so is the need to tell it.
                let _ = sender.send((number, Some(Message::parse(&line))));
            }
            let _ = sender.send((number, None));
        });
        self.list.push(One {
            name,
            process,
            input,
        });
        Ok(number)
    }

    /// Sends a line to a child.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn tell(&mut self, child: usize, message: &Message) -> Outcome<()> {
        let one = &mut self.list[child];
        writeln!(one.input, "{message}").map_err(|e| format!("{} has ended: {e}", one.name))
    }

    /// Waits for `word` from each of `from`, in any order, and returns the messages in the order of `from`.
    /// `progress` sees the other messages.
    ///
    /// # Errors
    ///
    /// The time is over, or one has ended, or says that something is wrong.
    pub fn gather(
        &mut self,
        from: &[usize],
        word: &str,
        mut progress: impl FnMut(usize, &Message),
    ) -> Outcome<Vec<Message>> {
        let mut answers: Vec<Option<Message>> = vec![None; from.len()];
        while answers.iter().any(Option::is_none) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let (child, message) = match self.inbox.recv_timeout(left) {
                Ok(received) => received,
                Err(RecvTimeoutError::Timeout) => {
                    let missing: Vec<&str> = from
                        .iter()
                        .zip(&answers)
                        .filter(|(_, answer)| answer.is_none())
                        .map(|(&child, _)| &*self.list[child].name)
                        .collect();
                    let missing = missing.join(", ");
                    return Err(format!("time is over; no \"{word}\" from {missing}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err("all processes have ended".to_owned());
                }
            };
            let name = &self.list[child].name;
            match message {
                None => return Err(format!("{name} has ended before its time")),
                Some(message) if message.word == "error" => {
                    return Err(format!("{name}: {}", message.text("text")?));
                }
                Some(message) if message.word == word => {
                    match from.iter().position(|&one| one == child) {
                        Some(place) => answers[place] = Some(message),
                        None => return Err(format!("{name} said, unasked: {message}")),
                    }
                }
                Some(message) => progress(child, &message),
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Tells all of `to` the same and waits for `word` from each.
    ///
    /// # Errors
    ///
    /// As [`gather`](Self::gather).
    pub fn ask(&mut self, to: &[usize], command: &str, word: &str) -> Outcome<Vec<Message>> {
        for &child in to {
            self.tell(child, &Message::new(command))?;
        }
        self.gather(to, word, |_, _| {})
    }

    /// Tells everybody to quit, and waits for that.
    ///
    /// # Errors
    ///
    /// One has failed.
    pub fn quit(mut self) -> Outcome<()> {
        for child in 0..self.list.len() {
            self.tell(child, &Message::new("quit"))?;
        }
        for mut one in std::mem::take(&mut self.list) {
            drop(one.input);
            let status = one
                .process
                .wait()
                .map_err(|e| format!("{}: {e}", one.name))?;
            if !status.success() {
                return Err(format!("{} ended with {status}", one.name));
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for one in &mut self.list {
            // It may have ended already.
            let _ = one.process.kill();
            let _ = one.process.wait();
        }
    }
}
