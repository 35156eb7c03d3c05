//! One writer for all lanes: what they hand in while a sync is under way shares the next one.

use tokio::sync::{mpsc, oneshot};

use crate::state::{Ledger, LedgerError, Record};

/// Hands records to the ledger's writer. When the last one is dropped, the writer ends.
#[derive(Debug, Clone)]
pub struct Recorder(mpsc::UnboundedSender<Batch>);

#[derive(Debug)]
struct Batch {
    records: Vec<Record<'static>>,
    done: oneshot::Sender<Result<(), String>>,
}

/// A recorder, and its writer, which has to be polled for anything to be written.
pub fn start(ledger: Ledger) -> (Recorder, impl Future<Output = ()>) {
    let (sender, batches) = mpsc::unbounded_channel();
    (Recorder(sender), write(ledger, batches))
}

impl Recorder {
    /// Records a batch. It is durable, as a whole, when this returns.
    ///
    /// # Errors
    /// The ledger could not be written, now or earlier; the text says why.
    pub async fn record(&self, records: Vec<Record<'static>>) -> Result<(), String> {
        let (done, written) = oneshot::channel();
        let gone = || "the ledger's writer has ended".to_owned();
        self.0.send(Batch { records, done }).map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

async fn write(mut ledger: Ledger, mut batches: mpsc::UnboundedReceiver<Batch>) {
    while let Some(first) = batches.recv().await {
        let mut waiting = vec![first.done];
        let mut records = first.records;
        while let Ok(next) = batches.try_recv() {
            waiting.push(next.done);
            records.extend(next.records);
        }
        // A sync takes milliseconds, in which answers arrive; it must not hold up whoever waits for them.
        let task = tokio::task::spawn_blocking(move || {
            let written = ledger.append(&records);
            (ledger, written)
        });
        let (back, written) = match task.await {
            Ok((back, written)) => (Some(back), written.map_err(|error: LedgerError| error.to_string())),
            Err(error) => (None, Err(format!("the ledger's writer failed: {error}"))),
        };
        for done in waiting {
            // A lane that no longer waits was ended by a signal; the record is durable all the same.
            let _ = done.send(written.clone());
        }
        match back {
            Some(back) => ledger = back,
            None => return,
        }
    }
    // Giving a shared ledger back takes as long as asking it.
    let _ = tokio::task::spawn_blocking(move || drop(ledger)).await;
}
