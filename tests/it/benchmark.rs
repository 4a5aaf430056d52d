//! Sexton's entry in the queues' benchmark does what it is measured for.

use tokio_util::sync::CancellationToken;

use crate::support::{Database, eventually};

#[path = "../../examples/peer.rs"]
#[allow(dead_code)]
mod peer;

#[tokio::test]
async fn the_entry_in_the_benchmark_does_each_run_once_and_keeps_the_history() {
    let database = Database::empty().await;
    let (pool, stop) = (database.pool(), CancellationToken::new());
    let answer = |command, number| peer::answer(command, number, database.login(), stop.clone());
    answer("setup", 0).await.expect("the schema");
    answer("enqueue", 50).await.expect("50 runs");
    answer("produce", 2).await.expect("2 more");
    let live: i64 = sqlx::query_scalar("select count(*) from sexton.run").fetch_one(pool).await.unwrap();
    assert_eq!(live, 52);
    let settled = async {
        eventually("all are settled", async || {
            let left: bool = sqlx::query_scalar("select exists (select from sexton.run)").fetch_one(pool).await.ok()?;
            (!left).then_some(())
        })
        .await;
        stop.cancel();
    };
    let (worked, ()) = tokio::join!(answer("worker", 50), settled);
    worked.expect("a clean end");
    let kept: (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct spec -> 'params') from sexton.runs where state = 'done' and spent = 1",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(kept, (52, 52), "each with the parameter of its own");
}
