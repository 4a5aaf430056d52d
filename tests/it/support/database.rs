//! A database of its own for each test, cloned from a migrated template in about 50 ms.

use sexton::{
    db::{self, Login, Target},
    secret::Secret,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};

use super::keeper;

/// One test's database; dropped with it.
pub struct Database {
    name: String,
    login: Login,
    pool: PgPool,
}

impl Database {
    /// A database with Sexton's schema in it.
    pub async fn new() -> Self {
        Self::create(&format!("template {}", keeper::TEMPLATE)).await
    }

    /// A database without any schema: a target, or a first start.
    pub async fn empty() -> Self {
        Self::create("template template0").await
    }

    async fn create(template: &str) -> Self {
        // PostgreSQL copies a template for one at a time; others would be refused, not queued.
        static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let name = format!("t_{}", uuid::Uuid::now_v7().simple());
        {
            let _turn = ONE_AT_A_TIME.lock().await;
            let mut admin = PgConnection::connect_with(&admin()).await.expect("the shared cluster");
            // Under nextest the others are other processes.
            sqlx::query("select pg_advisory_lock(7)").execute(&mut admin).await.expect("a turn");
            let statement = AssertSqlSafe(format!("create database {name} {template}"));
            sqlx::query(statement).execute(&mut admin).await.expect("a clone of the template");
            admin.close().await.expect("a clean goodbye");
        }
        let url = format!("postgres:///{name}?{}", query());
        let login = Login::new(&Secret::new(url), None).expect("a login");
        let pool = db::queue_pool(&login, 6);
        Self { name, login, pool }
    }

    /// Up to six connections, with the queue's own timeouts.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// For `sexton.toml`.
    pub fn url(&self) -> String {
        format!("postgres:///{}?{}", self.name, query())
    }

    /// How the product logs in to it.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The same database as a target of jobs.
    pub fn target(&self, name: &str) -> Target {
        Target::new(name, self.login.clone(), None)
    }

    /// Its name on the shared cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shared cluster's socket folder, for a [`Proxy`](super::Proxy).
    pub fn socket_dir(&self) -> &std::path::Path {
        keeper::socket_dir()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // The test's runtime may be ending; a thread has its own. The keeper removes what this cannot.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect_with(&admin()).await?;
                let statement = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
                sqlx::query(statement).execute(&mut admin).await?;
                admin.close().await
            })
        });
        let _ = dropping.join();
    }
}

fn query() -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("host", &keeper::socket_dir().display().to_string())
        .append_pair("port", "5432")
        .append_pair("user", "sexton")
        .finish()
}

fn admin() -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(keeper::socket_dir())
        .port(5432)
        .username("sexton")
        .database("postgres")
}
