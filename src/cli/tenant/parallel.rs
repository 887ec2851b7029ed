//! The same for many tenants at once, with a bound on how many.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many at once: they wait for their managers far more than they compute.
const AT_ONCE: usize = 8;

/// `work` on each item, at most a few at once; the results in the items' order. `done` is told of each
/// as it ends.
pub fn each<I: Sync, O: Send>(
    items: &[I],
    work: impl Fn(&I) -> O + Sync,
    done: impl Fn(&I, &O) + Sync,
) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<O>>> = Mutex::new(items.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    done(item, &result);
                    if let Some(place) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
                        *place = Some(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items_and_no_more_than_a_few_run_at_once() {
        let items: Vec<usize> = (0..100).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let told = Mutex::new(0);
        let results = each(
            &items,
            |item| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
                item * 2
            },
            |_, _| *told.lock().expect("no panic") += 1,
        );
        assert_eq!(results, items.iter().map(|i| i * 2).collect::<Vec<_>>());
        assert!(most.into_inner() <= AT_ONCE);
        assert_eq!(told.into_inner().expect("no panic"), 100);
    }
}
