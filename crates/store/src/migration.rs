//! Schemas by number: each database walks forward through those it has not seen.

use crate::Error;
use rusqlite::Connection;

/// Never changed once released; the next one is appended.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../schema/0001_letters.sql"),
    include_str!("../schema/0002_search.sql"),
    include_str!("../schema/0003_verified.sql"),
];

/// "WPST" in the file's header says whose database it is.
const APPLICATION: i64 = 0x5750_5354;

/// Brings the database to the newest of `migrations`, each in a transaction of its own.
pub(crate) fn migrate(conn: &Connection, migrations: &[&str]) -> Result<(), Error> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    if found < 0 || (found > 0 && application != APPLICATION) {
        return Err(Error::WrongKey);
    }
    for (migration, number) in migrations.iter().zip(1_i64..).filter(|(_, number)| *number > found) {
        let transaction = conn.unchecked_transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[test]
    fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.db");
        let key = [1; 32];
        let first = "CREATE TABLE one (a INTEGER NOT NULL) STRICT";
        let broken =
            "CREATE TABLE two (a INTEGER NOT NULL) STRICT; INSERT INTO one VALUES (1); INSERT INTO none VALUES (1)";
        drop(Store::open_with(&path, &key, &[first]).unwrap());
        assert!(matches!(Store::open_with(&path, &key, &[first, broken]), Err(Error::Sql(_))));
        let store = Store::open_with(&path, &key, &[first]).unwrap();
        let tables = store.all("SELECT name FROM sqlite_schema", (), |row| Ok(row.get::<_, String>(0)?)).unwrap();
        assert_eq!(tables, ["one"]);
        assert_eq!(store.all("SELECT a FROM one", (), |_| Ok(())).unwrap().len(), 0);
    }
}
