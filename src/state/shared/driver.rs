//! A thread with a runtime of its own: the ledger's calls stay synchronous, and a lease is renewed while nobody calls.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::trouble::{Kind, Trouble};

#[derive(Debug)]
pub(super) struct Driver {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts the thread.
    pub fn start() -> Result<Self, Trouble> {
        let cannot = |error: std::io::Error| Trouble::new(Kind::Setup, format!("cannot be reached: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let body = move || {
            // An error means that the sender is gone, which is the end as well.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("state".into()).spawn(body).map_err(cannot)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs something there, and waits for it.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (done, result) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Whoever waits is still there: it does nothing else.
            let _ = done.send(work.await);
        });
        result.recv().map_err(|_| Trouble::new(Kind::Write, "cannot be reached: its thread has ended"))
    }

    /// Runs something there, and does not wait.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
