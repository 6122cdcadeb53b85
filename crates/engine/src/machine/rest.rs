//! What is done while nothing is to be done: the memory that a burst has left half used is given up.

use super::Engine;
use crate::packed::pack_together;
use alloc::collections::BTreeSet;

impl Engine {
    /// Puts together what has come or gone since the last time; what is kept stays as it is. It takes
    /// as long as there are jobs, and so is for a moment when nothing else waits.
    pub fn rest(&mut self) {
        let kept = [self.jobs.len(), self.instances.len(), self.histories.len(), self.names.len()];
        if kept == self.rested {
            return;
        }
        self.rested = kept;
        self.jobs.pack_together();
        self.instances.pack_together();
        self.histories.values_mut().for_each(|history| history.entries.shrink_to_fit());
        pack_together(&mut self.histories);
        pack_together(&mut self.names);
        let starts = self.starts.values_mut();
        starts
            .for_each(|jobs: &mut BTreeSet<_>| *jobs = core::mem::take(jobs).into_iter().collect());
        self.stops.values_mut().for_each(pack_together);
    }
}
