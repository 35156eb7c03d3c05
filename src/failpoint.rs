//! Faults that a test injects into the real program; in a release build there is nothing here.
//!
//! `LARKSUB_FAILPOINT=append:3=kill` kills the process the third time it comes to the point `append`. Several are
//! separated by `;`. What can be done: `kill` (SIGKILL), `enospc`, `eio`, `erofs` (the system call fails that way),
//! `half` (an append writes half of its bytes, then the process is killed), and `slow` (it takes a second).

use std::io;

/// What a point does when its turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Pass,
    /// Writes half of what is to be written, and dies.
    Half,
}

/// Comes to a point. Where a fault is due there, it happens.
///
/// # Errors
/// The injected one.
#[cfg(not(debug_assertions))]
pub fn hit(_point: &'static str) -> io::Result<Action> {
    Ok(Action::Pass)
}

/// Comes to a point. Where a fault is due there, it happens.
///
/// # Errors
/// The injected one.
#[cfg(debug_assertions)]
pub fn hit(point: &'static str) -> io::Result<Action> {
    injected::hit(point)
}

/// Dies as SIGKILL makes a process die.
#[cfg(debug_assertions)]
pub fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// Dies as SIGKILL makes a process die; nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn die() {}

#[cfg(debug_assertions)]
mod injected {
    use std::collections::HashMap;
    use std::io;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::Action;

    struct Points {
        faults: Vec<(String, u64, String)>,
        seen: HashMap<&'static str, u64>,
    }

    pub fn hit(point: &'static str) -> io::Result<Action> {
        static POINTS: OnceLock<Option<Mutex<Points>>> = OnceLock::new();
        let Some(points) = POINTS.get_or_init(from_environment) else { return Ok(Action::Pass) };
        let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = points.seen.entry(point).or_default();
        *seen += 1;
        let seen = *seen;
        let due = points.faults.iter().find(|(name, turn, _)| name == point && (*turn == seen || *turn == 0));
        let due = due.map(|(_, _, what)| what.clone());
        drop(points);
        match due.as_deref() {
            Some("slow") => {
                std::thread::sleep(std::time::Duration::from_secs(1));
                Ok(Action::Pass)
            }
            None => Ok(Action::Pass),
            Some("half") => Ok(Action::Half),
            Some("enospc") => Err(rustix::io::Errno::NOSPC.into()),
            Some("eio") => Err(rustix::io::Errno::IO.into()),
            Some("erofs") => Err(rustix::io::Errno::ROFS.into()),
            Some(_) => {
                super::die();
                Ok(Action::Pass)
            }
        }
    }

    /// `point:turn=what`, from turn 1; without a turn, every time.
    fn from_environment() -> Option<Mutex<Points>> {
        let text = std::env::var("LARKSUB_FAILPOINT").ok()?;
        let fault = |fault: &str| {
            let (place, what) = fault.split_once('=')?;
            let (point, turn) = place.split_once(':').unwrap_or((place, "0"));
            Some((point.to_owned(), turn.parse().ok()?, what.to_owned()))
        };
        let faults = text.split(';').filter_map(fault).collect();
        Some(Mutex::new(Points { faults, seen: HashMap::new() }))
    }
}
