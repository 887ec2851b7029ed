//! The same for many tenants at once, with a bound on how many.

use std::sync::{Mutex, PoisonError};

/// How many at once: they wait for their managers far more than they compute.
const AT_ONCE: usize = 8;

/// `work` on each item, at most a few at once; the results in the items' order. `done` is told of each
/// as it ends.
pub fn each<I: Send, O: Send>(
    items: Vec<I>,
    work: impl Fn(I) -> O + Sync,
    done: impl Fn(&O) + Sync,
) -> Vec<O> {
    let count = items.len();
    let left = Mutex::new(items.into_iter().enumerate());
    let results: Mutex<Vec<(usize, O)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((at, item)) = next else { return };
                    let result = work(item);
                    done(&result);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items_and_no_more_than_a_few_run_at_once() {
        let items: Vec<usize> = (0..100).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let told = Mutex::new(0);
        let results = each(
            items.clone(),
            |item| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
                item * 2
            },
            |_| *told.lock().expect("no panic") += 1,
        );
        assert_eq!(results, items.iter().map(|i| i * 2).collect::<Vec<_>>());
        assert!(most.into_inner() <= AT_ONCE);
        assert_eq!(told.into_inner().expect("no panic"), 100);
    }
}
