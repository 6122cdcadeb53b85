//! Waiting that Ctrl-C can end.

use crate::failure::{Failure, Outcome};
use engine::signal::Signal;
use std::io;
use std::os::fd::AsFd;
use sys::ready::{wait, Want};
use sys::signals::{block, blocked, SignalFd};

/// Waits for descriptors, and for Ctrl-C where somebody has asked for it.
///
/// Until then Ctrl-C ends the process, as it ends any command.
#[derive(Default)]
pub struct Watch {
    interrupt: Option<SignalFd>,
}

impl Watch {
    /// Makes Ctrl-C, from now on, something that waiting ends with.
    pub fn catch(&mut self) -> Outcome<()> {
        if self.interrupt.is_none() {
            let number = Signal::INT.number();
            block(blocked().with(number));
            let descriptor = SignalFd::new(sys::signals::SignalSet::NONE.with(number));
            self.interrupt = Some(descriptor.map_err(io::Error::from)?);
        }
        Ok(())
    }

    /// Waits until one of them is ready; says which.
    pub fn wait(&self, wants: &[Want<'_>]) -> Outcome<Vec<bool>> {
        let mut all = wants.to_vec();
        all.extend(self.interrupt.iter().map(|signals| Want::Read(signals.as_fd())));
        let mut ready = wait(&all, None).map_err(io::Error::from)?;
        match &self.interrupt {
            Some(signals) if ready.pop() == Some(true) && !signals.take().is_empty() => {
                Err(Failure::Interrupted)
            }
            Some(_) | None => Ok(ready),
        }
    }
}
