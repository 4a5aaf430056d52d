//! One state of a database that several connections and `pg_dump` see together.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use crate::db::Login;

/// How long a connection, and what is asked before the work, may take.
const LOOK: Duration = Duration::from_secs(30);

/// An exported snapshot; it lasts as long as this value.
#[derive(Debug)]
pub(crate) struct Snapshot {
    id: String,
    holder: PgConnection,
}

impl Snapshot {
    /// Exports one.
    pub(crate) async fn open(login: &Login) -> Result<Self, sqlx::Error> {
        let opening = async {
            let mut holder = connect(login).await?;
            sqlx::query("begin isolation level repeatable read, read only").execute(&mut holder).await?;
            let id = sqlx::query_scalar("select pg_export_snapshot()").fetch_one(&mut holder).await?;
            Ok(Self { id, holder })
        };
        timeout(LOOK, opening).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// For `pg_dump --snapshot` and [`session`].
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Lets it go.
    pub(crate) async fn close(self) {
        let _ = timeout(LOOK, self.holder.close()).await;
    }
}

/// A connection that only reads, in this snapshot where there is one.
pub(crate) async fn session(login: &Login, snapshot: Option<&str>) -> Result<PgConnection, sqlx::Error> {
    let opening = async {
        let mut connection = connect(login).await?;
        sqlx::query("begin isolation level repeatable read, read only").execute(&mut connection).await?;
        if let Some(id) = snapshot {
            // `set transaction` takes no parameter. PostgreSQL made the id: hex digits and dashes.
            let safe: String = id.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect();
            let statement = AssertSqlSafe(format!("set transaction snapshot '{safe}'"));
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(connection)
    };
    timeout(LOOK, opening).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Sets everything that decides how a value looks as text.
pub(super) async fn pin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../../sql/target/fingerprint_session.sql")).execute(connection).await?;
    Ok(())
}

async fn connect(login: &Login) -> Result<PgConnection, sqlx::Error> {
    let mut connection = login.connect().await?;
    sqlx::query("select set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false), set_config('client_connection_check_interval', '5s', false)")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}
