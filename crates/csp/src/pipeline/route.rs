//! Stages with several inputs or outputs: merge, split, tee, fan-out by key.

use super::Flow;
use super::stage::{Fault, Stage, next};
use crate::{Sender, bounded};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use weftwork_core::{Refused, Spawn};

impl<T: Send + 'static> Flow<T> {
    /// Makes a stage that passes on what comes from any of `flows`, as it comes; it ends when all have.
    ///
    /// One task per input; the output holds as many messages as there are inputs. The order within an input
    /// is kept. Without inputs the output is at its end.
    ///
    /// # Errors
    /// The executor takes no more tasks; those that were spawned stop.
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let inputs = [1, 2].map(|n| {
    ///     let (sender, input) = weftwork_csp::bounded(1);
    ///     sender.send(n).unwrap();
    ///     Flow::from(input)
    /// });
    /// let merged = Flow::merge(&ThreadPerTask, inputs)?;
    /// assert_eq!(merged.into_iter().sum::<i32>(), 3);
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn merge<S: Spawn>(
        spawner: &S,
        flows: impl IntoIterator<Item = Flow<T>>,
    ) -> Result<Flow<T>, Refused> {
        let flows: Vec<_> = flows.into_iter().collect();
        let (output, receiver) = bounded(flows.len().max(1));
        let fault = Fault::below(&flows);
        for flow in flows {
            let stage = Stage::new(&fault, vec![output.clone()]);
            spawner.spawn_fn(move || {
                stage.run(|outputs| {
                    while let Some(message) = next(&flow, outputs) {
                        if outputs[0].send(message).is_err() {
                            break;
                        }
                    }
                    drop(flow);
                });
            })?;
        }
        Ok(Flow::new(receiver, &fault))
    }

    /// Makes a stage with two outputs: the messages for which `test` is true, and the others.
    ///
    /// Each output holds one message; while one of them is full, the stage waits. What is for an output
    /// that was dropped is dropped; when both were, the stage stops.
    ///
    /// # Errors
    /// The executor takes no more tasks.
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::unbounded();
    /// (0..2).for_each(|n| sender.send(n).unwrap());
    /// drop(sender);
    /// let (even, odd) = Flow::from(input).split(&ThreadPerTask, |n| n % 2 == 0)?;
    /// assert_eq!((even.recv(), odd.recv()), (Ok(0), Ok(1)));
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn split<S, F>(self, spawner: &S, mut test: F) -> Result<(Flow<T>, Flow<T>), Refused>
    where
        S: Spawn,
        F: FnMut(&T) -> bool + Send + 'static,
    {
        let outputs = self.route(spawner, 2, move |message, outputs| {
            let index = if test(&message) { 0 } else { 1 };
            outputs[index].send(message).is_ok()
        })?;
        let [yes, no] = <[_; 2]>::try_from(outputs).expect("as many as were asked for");
        Ok((yes, no))
    }

    /// Makes a stage that gives each message to all of `count` outputs.
    ///
    /// Each output holds one message; the slowest holds up the others. An output that was dropped is left
    /// out; when all were, the stage stops.
    ///
    /// # Errors
    /// The executor takes no more tasks.
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::bounded(1);
    /// sender.send("for all").unwrap();
    /// for output in Flow::from(input).tee(&ThreadPerTask, 2)? {
    ///     assert_eq!(output.recv(), Ok("for all"));
    /// }
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn tee<S: Spawn>(self, spawner: &S, count: usize) -> Result<Vec<Flow<T>>, Refused>
    where
        T: Clone,
    {
        self.route(spawner, count, |message, outputs| {
            let Some((last, others)) = outputs.split_last() else {
                return false;
            };
            let mut all = true;
            for output in others {
                all &= output.send(message.clone()).is_ok();
            }
            last.send(message).is_ok() && all
        })
    }

    /// Makes a stage that spreads the messages over `count` outputs, those with the same key to the same
    /// one: so their order is kept, whoever works on the outputs.
    ///
    /// Each output holds one message; while one of them is full, the stage waits. What is for an output
    /// that was dropped is dropped; when all were, the stage stops.
    ///
    /// # Errors
    /// The executor takes no more tasks.
    ///
    /// # Panics
    /// If `count` is zero.
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::unbounded();
    /// for word in ["a", "b", "a", "c"] {
    ///     sender.send(word).unwrap();
    /// }
    /// drop(sender);
    /// let outputs = Flow::from(input).fan_out_by_key(&ThreadPerTask, 2, |word| *word)?;
    /// let merged = Flow::merge(&ThreadPerTask, outputs)?;
    /// assert_eq!(merged.into_iter().filter(|word| *word == "a").count(), 2);
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn fan_out_by_key<S, K, F>(
        self,
        spawner: &S,
        count: usize,
        mut key: F,
    ) -> Result<Vec<Flow<T>>, Refused>
    where
        S: Spawn,
        K: Hash,
        F: FnMut(&T) -> K + Send + 'static,
    {
        assert!(count > 0, "a stage without outputs does nothing");
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        self.route(spawner, count, move |message, outputs| {
            let hash = hasher.hash_one(key(&message));
            // Less than the number of outputs, so it fits.
            let index = (hash % outputs.len() as u64) as usize;
            outputs[index].send(message).is_ok()
        })
    }

    /// Makes a stage of one task and `count` outputs. `send` says whether all went well: if not, the stage
    /// looks whether anybody is left.
    #[track_caller]
    fn route<S: Spawn>(
        self,
        spawner: &S,
        count: usize,
        mut send: impl FnMut(T, &[Sender<T>]) -> bool + Send + 'static,
    ) -> Result<Vec<Flow<T>>, Refused> {
        let (outputs, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| bounded(1)).unzip();
        let fault = Fault::below([&self]);
        let stage = Stage::new(&fault, outputs);
        spawner.spawn_fn(move || {
            stage.run(|outputs| {
                while let Some(message) = next(&self, outputs) {
                    if !send(message, outputs) && outputs.iter().all(Sender::is_closed) {
                        break;
                    }
                }
                drop((self, send));
            });
        })?;
        let flows = receivers.into_iter();
        Ok(flows.map(|receiver| Flow::new(receiver, &fault)).collect())
    }
}
