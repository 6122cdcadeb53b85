//! Maps without room to spare.

use alloc::collections::BTreeMap;

/// Makes a map anew, its nodes full; it is the same map afterwards. Where keys come in order, as ours
/// mostly do, nodes are left half empty.
pub fn pack_together<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    *map = core::mem::take(map).into_iter().collect();
}
