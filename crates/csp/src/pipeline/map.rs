//! Stages that work on each message: as the results come, or in the order of the input.

use super::Flow;
use super::stage::{Fault, Stage, next};
use crate::bounded;
use std::collections::VecDeque;
use std::sync::Arc;
use weftwork_core::{Refused, Spawn};

impl<T: Send + 'static> Flow<T> {
    /// Makes a stage of `workers` tasks that apply `work` to each message. Results come in whatever order
    /// they are ready.
    ///
    /// The output holds as many results as there are workers.
    ///
    /// # Errors
    /// The executor takes no more tasks; the workers that were spawned stop.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::unbounded();
    /// (0..10).for_each(|n| sender.send(n).unwrap());
    /// drop(sender);
    /// let output = Flow::from(input).map(&ThreadPerTask, 2, |n| n * 2)?;
    /// assert_eq!(output.into_iter().sum::<i32>(), 90);
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn map<S, B, F>(self, spawner: &S, workers: usize, work: F) -> Result<Flow<B>, Refused>
    where
        S: Spawn,
        B: Send + 'static,
        F: Fn(T) -> B + Send + Sync + 'static,
    {
        assert!(workers > 0, "a stage without workers does nothing");
        let (output, receiver) = bounded(workers);
        let (fault, work) = (Fault::below([&self]), Arc::new(work));
        for _ in 0..workers {
            let stage = Stage::new(&fault, vec![output.clone()]);
            let (input, work) = (self.clone(), Arc::clone(&work));
            spawner.spawn_fn(move || {
                stage.run(|outputs| {
                    while let Some(message) = next(&input, outputs) {
                        if outputs[0].send(work(message)).is_err() {
                            break;
                        }
                    }
                    drop(input);
                });
            })?;
        }
        Ok(Flow::new(receiver, &fault))
    }

    /// Makes a stage of `workers` tasks that apply `work` to each message. Results come in the order of the
    /// input.
    ///
    /// A slow message holds up the results of those behind it, of which twice as many as there are workers
    /// are worked on or held. Two more tasks number the messages and put the results in order.
    ///
    /// # Errors
    /// As for [`map`](Self::map).
    ///
    /// # Panics
    /// As [`map`](Self::map).
    ///
    /// ```
    /// use weftwork_csp::group::ThreadPerTask;
    /// use weftwork_csp::pipeline::Flow;
    ///
    /// let (sender, input) = weftwork_csp::unbounded();
    /// (0..10).for_each(|n| sender.send(n).unwrap());
    /// drop(sender);
    /// let output = Flow::from(input).map_ordered(&ThreadPerTask, 3, |n| n * 2)?;
    /// assert!(output.into_iter().eq((0..10).map(|n| n * 2)));
    /// # Ok::<(), weftwork_core::Refused>(())
    /// ```
    #[track_caller]
    pub fn map_ordered<S, B, F>(
        self,
        spawner: &S,
        workers: usize,
        work: F,
    ) -> Result<Flow<B>, Refused>
    where
        S: Spawn,
        B: Send + 'static,
        F: Fn(T) -> B + Send + Sync + 'static,
    {
        assert!(workers > 0, "a stage without workers does nothing");
        // A place in the window for each message from its number to its turn: so what is held is bounded.
        let (window, leave) = bounded(workers.saturating_mul(2));
        let (numbered, receiver) = bounded(workers);
        let fault = Fault::below([&self]);
        let stage = Stage::new(&fault, vec![numbered]);
        spawner.spawn_fn(move || {
            stage.run(|outputs| {
                let mut number = 0_u64;
                while let Some(message) = next(&self, outputs) {
                    if window.send(()).is_err() || outputs[0].send((number, message)).is_err() {
                        break;
                    }
                    number += 1;
                }
                drop((self, window));
            });
        })?;
        let numbered = Flow::new(receiver, &fault);
        let results = numbered.map(spawner, workers, move |(number, message)| {
            (number, work(message))
        })?;

        let (output, receiver) = bounded(workers);
        let fault = Fault::below([&results]);
        let stage = Stage::new(&fault, vec![output]);
        spawner.spawn_fn(move || {
            stage.run(|outputs| {
                let mut turns = Turns::default();
                while let Some((number, result)) = next(&results, outputs) {
                    turns.put(number, result);
                    while let Some(result) = turns.take() {
                        // There is a place to leave: that of this result.
                        let _ = leave.try_recv();
                        if outputs[0].send(result).is_err() {
                            return;
                        }
                    }
                }
                drop((results, leave));
            });
        })?;
        Ok(Flow::new(receiver, &fault))
    }
}

/// Results that wait for their turn.
struct Turns<B> {
    /// The number of the first place.
    next: u64,
    places: VecDeque<Option<B>>,
}

impl<B> Default for Turns<B> {
    fn default() -> Self {
        Turns {
            next: 0,
            places: VecDeque::new(),
        }
    }
}

impl<B> Turns<B> {
    fn put(&mut self, number: u64, result: B) {
        let place = usize::try_from(number - self.next).expect("within the window");
        while self.places.len() <= place {
            self.places.push_back(None);
        }
        self.places[place] = Some(result);
    }

    /// Takes the result whose turn it is, if it is there.
    fn take(&mut self) -> Option<B> {
        let result = self.places.front_mut()?.take()?;
        self.places.pop_front();
        self.next += 1;
        Some(result)
    }
}
