//! A restore gives back what was dumped, or leaves everything as it was.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::{Value, json};
use sexton::{
    backups::{
        restore::{self, Checked, Mode, Plan, Request, Restored},
        seal::Identities,
        work::{Ended, Work},
    },
    child::Spawner,
    db::Login,
    outcome::Failure,
    secret::Secret,
    vault::{Options, Vault, Vaults},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use super::proving::{awkward, done, job};
use crate::support::{Database, Site, ctx, eventually, open_folder, own_cluster};

/// A database of every awkward thing and a backup of it.
struct Bench {
    database: Database,
    folder: tempfile::TempDir,
    scratch: tempfile::TempDir,
    vault: Vault,
    spawner: Spawner,
}

impl Bench {
    async fn new(extra: Value) -> Self {
        Self::with(extra, "select 1").await
    }

    /// With something more in it.
    async fn with(extra: Value, sql: &str) -> Self {
        let (database, folder) = (awkward().await, tempfile::tempdir().unwrap());
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(database.pool()).await.unwrap();
        let set = format!("alter database {} set search_path = \"$user\", public, \"Odd Schema\"", database.name());
        run(database.login(), &[&set, &format!("alter database {} set app.x = 'a, b'", database.name())]).await;
        let scratch = open_folder("sexton-scratch-");
        let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
        let mut table = json!({"prove": "never", "scratch": scratch.path()});
        for (key, value) in extra.as_object().unwrap() {
            table[key] = value.clone();
        }
        done(job(table), ctx([database.target("t")], Vaults::new([vault()]))).await;
        Self { vault: vault(), database, folder, scratch, spawner: Spawner::start().unwrap() }
    }

    /// A name beside the database's.
    fn name(&self, end: &str) -> String {
        format!("{}_{end}", self.database.name())
    }

    fn login(&self, end: &str) -> Login {
        self.database.login().database(&self.name(end))
    }

    async fn request(&self) -> Request<'_> {
        Request {
            vault: &self.vault,
            backup: restore::which(&self.vault, "latest", None, true).await.unwrap(),
            login: self.database.login().clone(),
            pg_bin: None,
            database: None,
            mode: Mode::Full,
            tables: Vec::new(),
            schemas: Vec::new(),
            identities: Identities::default(),
            jobs: 1,
            scratch: self.scratch.path().to_owned(),
            globals: false,
            owners: true,
            swap: false,
            keep_old: Duration::from_secs(7 * 86_400),
        }
    }

    async fn try_plan(&self, change: impl FnOnce(&mut Request<'_>)) -> Result<Plan<'_>, Failure> {
        let mut request = self.request().await;
        change(&mut request);
        let (stop, tell) = (CancellationToken::new(), |_: u64, _: Option<u64>, _: &str, _: Option<&str>| {});
        let work = Work { spawner: &self.spawner, pg_bin: None, stop: &stop, tell: &tell };
        restore::plan(&work, request).await.map_err(failed)
    }

    /// What would happen.
    async fn plan(&self, change: impl FnOnce(&mut Request<'_>)) -> Plan<'_> {
        self.try_plan(change).await.expect("a plan")
    }

    async fn try_restore(&self, change: impl FnOnce(&mut Request<'_>)) -> Result<Restored, Failure> {
        let plan = self.try_plan(change).await?;
        let (stop, tell) = (CancellationToken::new(), |_: u64, _: Option<u64>, _: &str, _: Option<&str>| {});
        let work = Work { spawner: &self.spawner, pg_bin: None, stop: &stop, tell: &tell };
        plan.carry_out(&work).await.map_err(failed)
    }

    async fn restore(&self, change: impl FnOnce(&mut Request<'_>)) -> Restored {
        let restored = self.try_restore(change).await.expect("restored");
        assert_eq!((restored.checked, &restored.differences), (Checked::Exact, &Vec::new()));
        restored
    }

    /// Which databases whose name begins with ours there are.
    async fn databases(&self) -> Vec<String> {
        let mut connection = PgConnection::connect_with(&self.database.login().options()).await.unwrap();
        sqlx::query_scalar("select datname::text from pg_database where starts_with(datname, $1) order by 1")
            .bind(self.database.name())
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    /// A database with the definitions alone.
    async fn definitions(&self, end: &str) -> Login {
        let name = self.name(end);
        self.restore(|request| (request.mode, request.database) = (Mode::SchemaOnly, Some(name))).await;
        self.login(end)
    }
}

fn failed(ended: Ended) -> Failure {
    match ended {
        Ended::Failed(failure) => failure,
        Ended::Stopped => panic!("nobody stopped it"),
    }
}

async fn run(login: &Login, statements: &[&str]) {
    let mut connection = PgConnection::connect_with(&login.options()).await.unwrap();
    for statement in statements {
        connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    connection.close().await.unwrap();
}

async fn list(login: &Login, query: &str) -> Vec<String> {
    let mut connection = PgConnection::connect_with(&login.options()).await.unwrap();
    connection.execute("set search_path = ''; set timezone = 'UTC'").await.unwrap();
    let rows =
        sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(query.to_owned())).fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    rows.unwrap_or_else(|e| panic!("{query}: {e}")).into_iter().map(|row| row.unwrap_or_default()).collect()
}

const TABLES: &str = "select format('%I.%I', n.nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace \
     where relkind in ('r', 'm') and n.nspname in ('public', 'Odd Schema') order by 1";

/// Rows of every table, as text in an order of their own.
async fn rows(login: &Login) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for table in list(login, TABLES).await {
        let text = "coalesce(md5(string_agg((t.*)::text, '|' order by (t.*)::text)), '')";
        let query = format!("select count(*) || ' ' || {text} from only {table} t");
        all.insert(table, list(login, &query).await);
    }
    let large = "select oid || ' ' || md5(lo_get(oid)) from pg_largeobject_metadata order by oid";
    all.insert("large objects".to_owned(), list(login, large).await);
    let sequences = "select format('%s.%s %s', schemaname, sequencename, last_value) from pg_sequences order by 1";
    all.insert("sequences".to_owned(), list(login, sequences).await);
    all
}

/// Definitions, as far as PostgreSQL prints them in one way alone.
async fn definitions(login: &Login) -> BTreeMap<String, Vec<String>> {
    let queries = [
        (
            "owners",
            "select concat_ws(' ', relname, relkind, relowner::regrole) from pg_class where relnamespace::regnamespace::text in ('public', '\"Odd Schema\"') order by 1",
        ),
        (
            "grants",
            "select concat_ws(' ', relname, grantee::regrole, privilege_type, is_grantable) from pg_class, aclexplode(relacl) a where relnamespace::regnamespace::text in ('public', '\"Odd Schema\"') order by 1",
        ),
        (
            "column grants",
            "select concat_ws(' ', attrelid::regclass, attname, grantee::regrole, privilege_type) from pg_attribute, aclexplode(attacl) a where attrelid >= 16384 order by 1",
        ),
        (
            "constraints",
            "select concat_ws(' ', conrelid::regclass, conname, contype, convalidated, condeferrable, case when contype <> 'c' then pg_get_constraintdef(oid) end) from pg_constraint where connamespace::regnamespace::text in ('public', '\"Odd Schema\"') order by 1",
        ),
        (
            "triggers",
            "select concat_ws(' ', tgrelid::regclass, tgname, tgenabled) from pg_trigger where not tgisinternal order by 1",
        ),
        (
            "policies",
            "select concat_ws(' ', polrelid::regclass, polname, polroles::regrole[]) from pg_policy order by 1",
        ),
        (
            "indexes",
            "select concat_ws(' ', indexrelid::regclass, indisunique, indisvalid) from pg_index where indexrelid >= 16384 and indexrelid::regclass::text !~ '^pg_toast' order by 1",
        ),
        (
            "columns",
            "select concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attgenerated, attidentity) from pg_attribute where attrelid in (select oid from pg_class where relnamespace::regnamespace::text in ('public', '\"Odd Schema\"')) and attnum > 0 and not attisdropped order by 1",
        ),
        (
            "settings",
            "select concat_ws(' ', setrole::regrole, s) from pg_db_role_setting, unnest(setconfig) s where setdatabase = (select oid from pg_database where datname = current_database()) order by 1",
        ),
        ("extensions", "select concat_ws(' ', extname, extversion) from pg_extension order by 1"),
        (
            "functions",
            "select concat_ws(' ', oid::regprocedure, proacl) from pg_proc where pronamespace = 'public'::regnamespace and prolang <> (select oid from pg_language where lanname = 'c') order by 1",
        ),
    ];
    let mut all = BTreeMap::new();
    for (what, query) in queries {
        all.insert(what.to_owned(), list(login, query).await);
    }
    all
}

async fn assert_equal(a: &Login, b: &Login) {
    same(&rows(a).await, &rows(b).await);
    same(&definitions(a).await, &definitions(b).await);
}

/// As `assert_eq`, but tells the part that differs alone.
fn same(a: &BTreeMap<String, Vec<String>>, b: &BTreeMap<String, Vec<String>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (what, a) in a {
        assert_eq!(a, &b[what], "{what}");
    }
}

#[tokio::test]
async fn a_new_database_has_everything_in_either_format() {
    for extra in [json!({}), json!({"mode": "parallel", "jobs": 2})] {
        let bench = Bench::new(extra).await;
        for jobs in [1, 3] {
            let end = format!("new{jobs}");
            let preview = bench.plan(|request| request.database = Some(bench.name(&end))).await.preview;
            assert_eq!(preview.problems, []);
            assert!(preview.steps.iter().any(|step| step.contains("make the new database")), "{preview:?}");
            assert!(!bench.databases().await.contains(&bench.name(&end)), "a plan does nothing");
            let restored = bench.restore(|request| {
                request.database = Some(bench.name(&end));
                request.jobs = jobs;
            });
            assert_eq!(restored.await.notes, Vec::<String>::new());
            assert_equal(bench.database.login(), &bench.login(&end)).await;
        }
        assert_eq!(std::fs::read_dir(bench.scratch.path()).unwrap().count(), 0, "scratch is gone");
    }
}

#[tokio::test]
async fn definitions_alone_and_then_rows_are_the_whole_by_whoever_may() {
    let bench = Bench::new(json!({})).await;
    let filled = bench.definitions("rows").await;
    same(&definitions(bench.database.login()).await, &definitions(&filled).await);
    assert_eq!(list(&filled, "select count(*)::text from public.a").await, ["0"]);
    let onto = |request: &mut Request<'_>| {
        (request.mode, request.database) = (Mode::DataOnly, Some(bench.name("rows")));
    };
    bench.restore(onto).await;
    assert_equal(bench.database.login(), &filled).await;
    // What has rows is refused before anything is done, and named.
    let preview = bench.plan(onto).await.preview;
    let told: String = preview.problems.iter().map(|problem| problem.what.clone()).collect();
    assert!(told.contains("public.a (500 rows)") && told.contains("2 large objects"), "{told}");
    assert!(bench.try_restore(onto).await.is_err());
    // So is what lacks a table or a column.
    let lacking = bench.definitions("lacking").await;
    run(&lacking, &["drop table public.nul", "alter table public.a drop column iv"]).await;
    let preview = bench.plan(|r| (r.mode, r.database) = (Mode::DataOnly, Some(bench.name("lacking")))).await.preview;
    let told: String = preview.problems.iter().map(|problem| problem.what.clone()).collect();
    assert!(told.contains("public.nul") && told.contains("public.a (iv)"), "{told}");
}

/// The same database, by a role that is no superuser and owns everything in it.
async fn as_owner(login: &Login, url: &str, role: &str) -> Login {
    let _ = run_leniently(login, &format!("create role {role}")).await;
    let owned = "select format('alter %s %s owner to ', case relkind when 'm' then 'materialized view' when 'v' then 'view' \
         when 'S' then 'sequence' else 'table' end, oid::regclass) from pg_class c where relnamespace::regnamespace::text in ('public', '\"Odd Schema\"') \
         and relkind in ('r', 'p', 'm', 'v') order by relkind";
    for statement in list(login, owned).await {
        run(login, &[&format!("set search_path = ''; {statement} {role}")]).await;
    }
    let s2 = format!("alter sequence public.s2 owner to {role}");
    run(
        login,
        &[
            &s2,
            &format!("grant all on schema public to {role}"),
            &format!("grant all on schema \"Odd Schema\" to {role}"),
        ],
    )
    .await;
    Login::new(&Secret::new(format!("{url}&options=-c%20role%3D{role}")), None)
        .unwrap()
        .database(&login.database_name())
}

async fn run_leniently(login: &Login, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&login.options()).await?;
    connection.execute(AssertSqlSafe(statement.to_owned())).await.map(drop)
}

#[tokio::test]
async fn an_owner_who_is_no_superuser_fills_tables_whose_keys_are_circular() {
    let bench = Bench::new(json!({})).await;
    let filled = bench.definitions("owner").await;
    let constraints = "select concat_ws(' ', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid)) from pg_constraint where contype = 'f' order by 1";
    let before = list(&filled, constraints).await;
    assert_eq!(before.len(), 2);
    run(
        &filled,
        &[
            "create function public.no() returns trigger language plpgsql as 'begin raise exception ''fired''; end'",
            "create trigger no before insert on public.b for each row execute function public.no()",
            "alter table public.b enable always trigger no",
        ],
    )
    .await;
    let role = as_owner(&filled, &bench.database.url(), "sexton_owner").await;
    bench
        .restore(|request| {
            (request.mode, request.login) = (Mode::DataOnly, role.clone());
            request.tables = vec!["public.a".to_owned(), "public.b".to_owned()];
        })
        .await;
    assert_eq!(list(&filled, constraints).await, before);
    assert_eq!(list(&filled, "select tgenabled::text from pg_trigger where tgname = 'no'").await, ["A"]);
    let same = "select md5(string_agg((a.*)::text, ',' order by id)) || (select count(*) from public.b) || (select last_value from public.a_id_seq) from public.a";
    assert_eq!(list(&filled, same).await, list(bench.database.login(), same).await);
    // A part whose rows break a key is taken back whole.
    run(&filled, &["truncate public.a, public.b"]).await;
    let failed = bench.try_restore(|request| {
        (request.mode, request.login, request.tables) = (Mode::DataOnly, role.clone(), vec!["public.b".to_owned()]);
    });
    assert!(failed.await.unwrap_err().why.contains("b_a_id_fkey"));
    assert_eq!(list(&filled, constraints).await, before);
    // The same by a superuser, whose session is a replica's.
    let failed = bench.try_restore(|request| {
        (request.mode, request.database) = (Mode::DataOnly, Some(bench.name("owner")));
        request.tables = vec!["public.b".to_owned()];
    });
    assert!(failed.await.unwrap_err().why.contains("break the foreign key public.b b_a_id_fkey"));
    assert_eq!(list(&filled, "select count(*)::text from public.b").await, ["0"]);
}

/// PostgreSQL's programs, one of them replaced by a script that finds the real one as `$real`.
fn programs(real: &Path, name: &str, script: &str) -> tempfile::TempDir {
    let folder = open_folder("sexton-bin-");
    for program in ["pg_dump", "pg_restore", "psql", "pg_dumpall", "postgres", "initdb"] {
        let at = folder.path().join(program);
        if program == name {
            std::fs::write(&at, format!("#!/bin/sh\nreal={}\n{script}\n", real.join(program).display())).unwrap();
            std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).unwrap();
        } else {
            std::os::unix::fs::symlink(real.join(program), &at).unwrap();
        }
    }
    folder
}

async fn real_programs(spawner: &Spawner) -> std::path::PathBuf {
    let fetched = crate::support::options(false).programs.unwrap_or_default();
    sexton::embedded::find(&fetched, spawner).await.expect("PostgreSQL").remove(0).dir
}

#[tokio::test]
async fn rows_that_are_cut_off_by_kill_9_are_all_taken_back() {
    let bench = Bench::new(json!({})).await;
    let filled = bench.definitions("killed").await;
    let role = as_owner(&filled, &bench.database.url(), "sexton_owner").await;
    let before = (rows(&filled).await, definitions(&filled).await);
    let real = real_programs(&bench.spawner).await;
    let restoring =
        "case \"$*\" in *--data-only*) \"$real\" \"$@\" | head -c 90000; kill -9 $$;; *) exec \"$real\" \"$@\";; esac";
    let psql = "case \"$*\" in *--version*) exec \"$real\" \"$@\";; esac; head -c 90000 | \"$real\" \"$@\"; kill -9 $$";
    for (name, script) in [("pg_restore", restoring), ("psql", psql)] {
        let folder = programs(&real, name, script);
        for login in [&filled, &role] {
            let failure = bench.try_restore(|request| {
                (request.mode, request.login) = (Mode::DataOnly, login.clone());
                request.pg_bin = Some(folder.path().to_owned());
                if *login.database_name() == *bench.name("killed") && login.options().get_options().is_some() {
                    request.tables = vec!["public.a".to_owned(), "public.b".to_owned(), "public.parted".to_owned()];
                }
            });
            let failure = failure.await.expect_err("it was killed");
            assert!(failure.why.contains("nothing was restored"), "{failure:?}");
            eventually("the server has rolled back", async || {
                let busy = "select count(*)::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
                (list(&filled, busy).await == ["0"]).then_some(())
            })
            .await;
            assert_eq!((rows(&filled).await, definitions(&filled).await), before, "{name}");
        }
    }
}

#[tokio::test]
async fn rows_whose_psql_is_killed_in_the_middle_of_a_table_are_all_taken_back() {
    let bench = Bench::new(json!({})).await;
    let filled = bench.definitions("killed").await;
    let role = as_owner(&filled, &bench.database.url(), "sexton_owner").await;
    let before = (rows(&filled).await, definitions(&filled).await);
    let real = real_programs(&bench.spawner).await;
    // It stops in the middle of public.a, the first large table.
    let stalling = "case \"$*\" in *--data-only*) \"$real\" \"$@\" | (head -c 20000; exec sleep 1000);; *) exec \"$real\" \"$@\";; esac";
    let folder = programs(&real, "pg_restore", stalling);
    for login in [&filled, &role] {
        let pid = folder.path().join("pid");
        let psql = folder.path().join("psql");
        let _ = (std::fs::remove_file(&psql), std::fs::remove_file(&pid));
        let script = format!("#!/bin/sh\necho $$ > {}\nexec {} \"$@\"\n", pid.display(), real.join("psql").display());
        std::fs::write(&psql, script).unwrap();
        std::fs::set_permissions(&psql, std::fs::Permissions::from_mode(0o755)).unwrap();
        let restoring = bench.try_restore(|request| {
            (request.mode, request.login) = (Mode::DataOnly, login.clone());
            request.pg_bin = Some(folder.path().to_owned());
            if login.options().get_options().is_some() {
                request.tables = vec!["public.a".to_owned(), "public.b".to_owned()];
            }
        });
        let killing = async {
            eventually("rows are on their way", async || {
                let copying = "select count(*)::text from pg_stat_activity where datname = current_database() and query like 'COPY public.a %'";
                (list(&filled, copying).await == ["1"]).then_some(())
            })
            .await;
            let pid = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
                .unwrap();
        };
        let (failure, ()) = tokio::join!(restoring, killing);
        assert!(failure.expect_err("it was killed").why.contains("nothing was restored: psql ended with signal: 9"));
        eventually("the server has rolled back", async || {
            let busy = "select count(*)::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
            (list(&filled, busy).await == ["0"]).then_some(())
        })
        .await;
        same(&rows(&filled).await, &before.0);
        same(&definitions(&filled).await, &before.1);
    }
}

#[tokio::test]
async fn single_tables_come_with_the_definitions_of_everything() {
    let bench = Bench::new(json!({})).await;
    let restored = bench
        .restore(|request| {
            request.database = Some(bench.name("part"));
            request.tables = vec!["public.b".to_owned(), "public.parted".to_owned()];
            request.schemas = vec!["Odd Schema".to_owned()];
        })
        .await;
    assert_eq!((restored.tables, restored.rows), (4, 2_501));
    let (was, is) = (rows(bench.database.login()).await, rows(&bench.login("part")).await);
    for table in ["public.b", "public.p1", "public.p2", "\"Odd Schema\".\"Odd \"\"tab le\""] {
        assert_eq!(was[table], is[table], "{table}");
    }
    assert!(is["public.a"][0].starts_with("0 "), "{is:?}");
    let keys = "select conname::text from pg_constraint where contype = 'f'";
    assert_eq!(list(&bench.login("part"), keys).await, ["a_b_id_fkey"], "b's key would lead to rows that are absent");
    let preview = bench.plan(|request| request.tables = vec!["public.nothing".to_owned()]).await.preview;
    assert!(preview.problems[0].what.contains("no table public.nothing"), "{preview:?}");
}

#[tokio::test]
async fn a_database_is_replaced_by_rename_and_can_be_had_back() {
    let bench = Bench::new(json!({})).await;
    let (name, live) = (bench.name("live"), bench.login("live"));
    bench.restore(|request| request.database = Some(bench.name("live"))).await;
    let _ = run_leniently(&live, "create role sexton_live").await;
    run(
        &live,
        &[
            "create table public.newer(id int)",
            &format!("alter database {name} owner to sexton_live"),
            &format!("revoke connect on database {name} from public; grant connect on database {name} to sexton_app"),
        ],
    )
    .await;
    // Without --swap, what is there is refused.
    let preview = bench.plan(|request| request.database = Some(bench.name("live"))).await.preview;
    assert!(preview.problems[0].what.contains("nothing in it is overwritten"), "{preview:?}");
    // Somebody is connected, and comes back.
    let pool = sqlx::postgres::PgPoolOptions::new().connect_with(live.options()).await.unwrap();
    let restored = bench.restore(|request| (request.login, request.swap) = (live.clone(), true)).await;
    let old = restored.replaced.expect("it was replaced");
    assert_eq!((restored.database.as_str(), old.sessions_ended), (name.as_str(), 1));
    assert_eq!(list(&live, "select to_regclass('public.newer')::text").await, [""]);
    assert_equal(bench.database.login(), &live).await;
    let rights = "select concat_ws(' ', datdba::regrole, (select string_agg(a::text, ' ' order by a::text) from aclexplode(datacl) a)) from pg_database where datname = ";
    let of = |name: &str| format!("{rights}'{name}'");
    assert_eq!(list(&live, &of(&name)).await, list(&live, &of(&old.database)).await);
    drop(pool);
    // Its time is not over yet.
    let kept = restore::replaced(&live).await.unwrap();
    assert!(kept.iter().any(|kept| kept.database == old.database && !kept.over), "{kept:?}");
    for statement in &old.undo {
        run(bench.database.login(), &[statement]).await;
    }
    assert_eq!(list(&live, "select to_regclass('public.newer')::text").await, ["public.newer"]);
    // Once more, to be kept for no time at all.
    let restored = bench
        .restore(|request| {
            (request.login, request.swap, request.keep_old) = (live.clone(), true, Duration::ZERO);
        })
        .await;
    let old = restored.replaced.unwrap().database;
    let dropped = restore::drop_replaced(&live).await.unwrap();
    assert!(dropped.iter().any(|kept| kept.database == old && kept.dropped), "{dropped:?}");
    assert!(!bench.databases().await.contains(&old));
}

#[tokio::test]
async fn a_damaged_backup_costs_nothing_that_was_there() {
    // The bad byte comes when most of the rows are in.
    let large = "create table public.large(id int, b bytea); \
         insert into public.large select n, sha256(n::text::bytea) from generate_series(1, 50000) n";
    let bench = Bench::with(json!({}), large).await;
    let live = bench.login("live");
    bench.restore(|request| request.database = Some(bench.name("live"))).await;
    let filled = bench.definitions("rows").await;
    let dump = std::fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let dump = dump.into_iter().find(|path| path.to_string_lossy().contains(".dump.zst")).unwrap();
    let mut bytes = std::fs::read(&dump).unwrap();
    let (last, before) = (bytes.len() - 3, bench.databases().await);
    bytes[last] ^= 1;
    std::fs::write(&dump, &bytes).unwrap();
    assert!(bench.try_plan(|request| request.login = live.clone()).await.is_ok(), "its head is good");
    for swap in [false, true] {
        let failure =
            bench.try_restore(|request| (request.login, request.swap) = (live.clone(), swap)).await.unwrap_err();
        assert!(failure.why.contains("is not what was stored"), "{failure:?}");
        assert_eq!(bench.databases().await, before, "what it made is gone");
    }
    let onto = |request: &mut Request<'_>| (request.mode, request.login) = (Mode::DataOnly, filled.clone());
    assert!(bench.try_restore(onto).await.is_err());
    assert_eq!(list(&filled, "select count(*)::text from public.a").await, ["0"]);
    assert_equal(bench.database.login(), &live).await;
}

#[tokio::test]
async fn what_differs_is_kept_to_be_looked_at_and_takes_no_name() {
    let bench = Bench::new(json!({})).await;
    let live = bench.login("live");
    bench.restore(|request| request.database = Some(bench.name("live"))).await;
    let real = real_programs(&bench.spawner).await;
    // Restores well, and then somebody meddles.
    let meddling = "case \"$*\" in *--dbname*) \"$real\" \"$@\" || exit; db=$(echo \"$*\" | sed \"s/.*dbname='\\([^']*\\)'.*/\\1/\"); \
        exec $(dirname $real)/psql -X -d $db -c 'delete from public.nul' >&2;; *) exec \"$real\" \"$@\";; esac";
    let folder = programs(&real, "pg_restore", meddling);
    let restored = bench.try_restore(|request| {
        (request.login, request.swap) = (live.clone(), true);
        request.pg_bin = Some(folder.path().to_owned());
    });
    let restored = restored.await.expect("restored");
    assert_eq!(restored.differences, ["table public.nul has 0 rows, and 1 were dumped"]);
    assert!(restored.replaced.is_none() && restored.database.contains("_restore_"), "{restored:?}");
    assert!(bench.databases().await.contains(&restored.database));
    assert_eq!(list(&live, "select count(*)::text from public.nul").await, ["1"]);
}

#[tokio::test]
async fn a_server_that_lacks_roles_is_told_and_gets_them_from_the_backup() {
    let (one, two) = (sexton::backups::seal::generate(), sexton::backups::seal::generate());
    let bench = Bench::new(json!({"recipients": [one.1.as_str(), two.1.as_str()], "waiver": null})).await;
    let elsewhere = own_cluster(false).await;
    elsewhere.cluster().create_database("here").await.unwrap();
    let login = Login::new(&Secret::new(elsewhere.cluster().url("here")), None).unwrap();
    let new = |request: &mut Request<'_>| (request.login, request.database) = (login.clone(), Some("new".to_owned()));
    // Nobody opens it: that is seen first.
    let preview = bench.plan(new).await.preview;
    assert!(preview.problems[0].what.contains("no identity is given"), "{preview:?}");
    let key = Identities::of_text(&two.0).unwrap();
    let opened = |request: &mut Request<'_>| {
        new(request);
        request.identities = key.clone();
    };
    let preview = bench.plan(opened).await.preview;
    assert_eq!(preview.problems.len(), 1, "{preview:?}");
    assert!(preview.problems[0].what.contains("lacks roles: Odd Role, sexton_app"), "{preview:?}");
    assert!(preview.problems[0].help.contains("--globals"), "{preview:?}");
    bench
        .restore(|request| {
            opened(request);
            request.globals = true;
        })
        .await;
    assert_equal(bench.database.login(), &login.database("new")).await;
    // An empty database that an administrator made is filled, and nothing else.
    elsewhere.cluster().create_database("empty").await.unwrap();
    bench
        .restore(|request| {
            opened(request);
            request.database = Some("empty".to_owned());
        })
        .await;
    assert_eq!(rows(bench.database.login()).await, rows(&login.database("empty")).await);
}

#[tokio::test]
async fn a_restore_that_is_stopped_or_killed_leaves_all_as_it_was_and_the_next_one_clears_up() {
    let bench = Bench::new(json!({})).await;
    // On a server of its own: the next restore there clears up, whoever's it is.
    let elsewhere = own_cluster(false).await;
    let login = |name: &str| Login::new(&Secret::new(elsewhere.cluster().url(name)), None).unwrap();
    let (live, admin) = (login("live"), login("postgres"));
    let first = |request: &mut Request<'_>| {
        (request.login, request.database, request.globals) = (live.clone(), Some("live".to_owned()), true)
    };
    bench.restore(first).await;
    let real = real_programs(&bench.spawner).await;
    let stalling = "case \"$*\" in *--dbname*) exec sleep 1000;; *) exec \"$real\" \"$@\";; esac";
    let folder = programs(&real, "pg_restore", stalling);
    let (url, from) = (elsewhere.cluster().url("live"), format!("dir:{}", bench.folder.path().display()));
    let args = ["backups", "restore", "latest", "--unproven", "--from", &from, "--url", &url, "--swap", "--confirm"];
    let mut site = Site::new("");
    site.env("SEXTON_PG_BIN", folder.path().to_str().unwrap());
    let unfinished =
        "select datname::text from pg_database where shobj_description(oid, 'pg_database') like '%unfinished%'";
    let marked = async || eventually("the new database is marked", async || list(&admin, unfinished).await.pop()).await;

    let stopped = site.daemon(&args).await;
    marked().await;
    let ended = stopped.terminate().await;
    assert_eq!(ended.status.code(), Some(8), "{:?}", ended.lines);
    assert_eq!(list(&admin, unfinished).await, [""; 0], "what it made is gone");

    let killed = site.daemon(&args).await;
    let left = marked().await;
    killed.kill_9().await;
    assert_equal(bench.database.login(), &live).await;
    eventually("its sessions are gone", async || {
        let sessions = format!("select count(*)::text from pg_stat_activity where datname = '{left}'");
        (list(&admin, &sessions).await == ["0"]).then_some(())
    })
    .await;
    site.env("SEXTON_PG_BIN", real.to_str().unwrap());
    let preview = site.sexton(&args[..args.len() - 1]).await;
    assert!(preview.status.success() && preview.stdout.contains(&left), "{preview:?}");
    assert!(preview.stdout.contains("the same command with --confirm does it"), "{preview:?}");
    let done = site.sexton(&args).await;
    assert!(done.status.success() && done.stdout.contains("it equals what was dumped"), "{done:?}");
    let there = list(&admin, "select datname::text from pg_database").await;
    assert!(!there.contains(&left) && there.iter().any(|name| name.starts_with("live_replaced_")), "{there:?}");
    // For programs: one object, and nothing else on either side.
    let told = site.sexton(&["--json", "backups", "drop-replaced", "--url", &url]).await;
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((told[0]["over"].as_bool(), told[0]["dropped"].as_bool()), (Some(false), Some(false)), "{told}");
    let told = site.sexton(&[&["--json"], &args[..]].concat()).await;
    let json: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((json["restored"]["checked"].as_str(), told.stderr.as_str()), (Some("exact"), ""), "{json}");
}

#[tokio::test]
async fn a_database_that_is_made_has_a_name_that_no_other_has() {
    let bench = Bench::new(json!({})).await;
    let first = bench.plan(|_| {}).await.preview.database;
    // As if others were restored in this second and in the next ones.
    let taken = "select format('create database %I', $1 || to_char(now() at time zone 'UTC' + n * interval '1 second', 'YYYYMMDDHH24MISS')) from generate_series(0, 9) n";
    let mut connection = PgConnection::connect_with(&bench.database.login().options()).await.unwrap();
    let stem = &first[..first.len() - "YYYYMMDDHHMMSS".len()];
    let made: Vec<String> = sqlx::query_scalar(taken).bind(stem).fetch_all(&mut connection).await.unwrap();
    for statement in made {
        run_leniently(bench.database.login(), &statement).await.unwrap();
    }
    let there = bench.databases().await;
    let preview = bench.plan(|_| {}).await.preview;
    assert!(!there.contains(&preview.database) && preview.problems.is_empty(), "{preview:?}");
}

#[tokio::test]
async fn names_that_cannot_both_be_changed_are_both_as_they_were() {
    let bench = Bench::new(json!({})).await;
    let _ = run_leniently(bench.database.login(), "create role sexton_swapper createdb").await;
    let role = "&options=-c%20role%3Dsexton_swapper";
    let url = format!("{}{role}", bench.database.url().replace(bench.database.name(), &bench.name("live")));
    let login = Login::new(&Secret::new(url), None).unwrap();
    let new = |request: &mut Request<'_>| {
        (request.login, request.owners) = (login.clone(), false);
        request.database = Some(bench.name("live"));
    };
    bench.restore(new).await;
    let before = bench.databases().await;
    // A superuser's session, which it may not end.
    let _somebody = PgConnection::connect_with(&bench.login("live").options()).await.unwrap();
    let failure = bench.try_restore(|request| {
        new(request);
        request.swap = true;
    });
    let failure = failure.await.expect_err("the names cannot be changed");
    assert!(failure.why.contains("is as it was") && failure.why.contains("_restore_"), "{failure:?}");
    let more: Vec<_> = bench.databases().await.into_iter().filter(|name| !before.contains(name)).collect();
    assert!(matches!(more.as_slice(), [one] if one.contains("live_restore_")), "{more:?}");
    assert_eq!(rows(bench.database.login()).await, rows(&bench.login("live")).await);
}

#[tokio::test]
async fn a_password_on_the_command_line_is_refused_and_not_shown() {
    let site = Site::new("");
    let url = "postgres://me:hunter2@127.0.0.1:1/x";
    let said = site.sexton(&["backups", "restore", "latest", "--from", "dir:/nonexistent", "--url", url]).await;
    assert!(!said.status.success() && said.stderr.contains("--password-file"), "{said:?}");
    assert!(!said.stderr.contains("hunter2") && !said.stdout.contains("hunter2"), "{said:?}");
}

#[tokio::test]
async fn the_command_in_the_manifest_restores_with_stock_tools_alone() {
    if ["age", "zstd"].into_iter().any(|program| !which(program)) {
        // The claim is about stock tools; without them there is nothing to show.
        eprintln!("age or zstd is not installed: nothing was shown");
        return;
    }
    let key = sexton::backups::seal::generate();
    for mode in ["single", "parallel"] {
        let other = sexton::backups::seal::generate();
        let bench = Bench::new(json!({
            "recipients": [key.1.as_str(), other.1.as_str()], "waiver": null, "mode": mode,
        }))
        .await;
        // The command makes a database that is called after the source's.
        let backup = restore::which(&bench.vault, "latest", None, true).await.unwrap();
        let manifest = sexton::backups::manifest::Manifest::read(&bench.vault, &backup.stem).await.unwrap();
        let folder = open_folder("sexton-stock-");
        let identity = folder.path().join("key");
        std::fs::write(&identity, key.0.reveal()).unwrap();
        let real = real_programs(&bench.spawner).await;
        let path = format!("{}:{}", real.display(), std::env::var("PATH").unwrap());
        let output = std::process::Command::new("sh")
            .args(["-c", &manifest.restore])
            .current_dir(folder.path())
            .env("PATH", path)
            .env("AGE_IDENTITY", &identity)
            .envs(bench.database.login().libpq())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {output:?}", manifest.restore);
        let restored = bench.login("restored");
        assert_eq!(rows(bench.database.login()).await, rows(&restored).await, "{mode}");
    }
}

fn which(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}
