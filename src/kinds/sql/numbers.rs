//! The numbers in a row, by the names of their columns.

use serde_json::{Number, Value};
use sqlx::{Column, Row, TypeInfo, ValueRef, postgres::PgRow};

/// Every numeric column that is not NULL.
pub(super) fn of(row: &PgRow) -> Vec<(String, Value)> {
    let columns = row.columns().iter();
    columns.filter_map(|column| Some((column.name().to_owned(), number(row, column.ordinal())?))).collect()
}

fn number(row: &PgRow, place: usize) -> Option<Value> {
    let raw = row.try_get_raw(place).ok()?;
    if raw.is_null() {
        return None;
    }
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "INT2" => row.try_get::<i16, _>(place).ok().map(Value::from),
        "INT4" => row.try_get::<i32, _>(place).ok().map(Value::from),
        "INT8" => row.try_get::<i64, _>(place).ok().map(Value::from),
        "FLOAT4" => row.try_get::<f32, _>(place).ok().and_then(|n| float(f64::from(n))),
        "FLOAT8" => row.try_get::<f64, _>(place).ok().and_then(float),
        "NUMERIC" => numeric(raw.as_bytes().ok()?).and_then(float),
        _ => None,
    }
}

/// A whole number stays one: `sum(bigint)` is numeric in PostgreSQL.
fn float(number: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Some(Value::from(number as i64));
    }
    Number::from_f64(number).map(Value::Number)
}

/// Reads the binary form of `numeric`: digits of base 10,000, the first worth 10,000^weight.
///
/// Infinite and not-a-number have no place in a report.
fn numeric(bytes: &[u8]) -> Option<f64> {
    let short = |place: usize| Some(i16::from_be_bytes(bytes.get(place * 2..place * 2 + 2)?.try_into().ok()?));
    let (digits, weight, sign) = (short(0)?, i32::from(short(1)?), short(2)? as u16);
    let mut sum = 0.0;
    for place in 0..digits {
        sum += f64::from(short(4 + usize::try_from(place).ok()?)?) * 10_000_f64.powi(weight - i32::from(place));
    }
    match sign {
        0x0000 => Some(sum),
        0x4000 => Some(-sum),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_is_read_from_its_binary_form() {
        // 12345.67: three digits of base 10,000, weight 1, two decimals.
        let bytes = [0, 3, 0, 1, 0, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c];
        assert!(numeric(&bytes).is_some_and(|n| (n - 12_345.67).abs() < 1e-9), "{:?}", numeric(&bytes));
        assert_eq!(numeric(&[0, 0, 0, 0, 0xC0, 0, 0, 0]), None, "NaN");
        assert_eq!(float(3.0), Some(Value::from(3)));
    }
}
