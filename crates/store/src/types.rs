//! Values that must not be mixed with plain numbers and strings, and how they stand in a column.

mod filters;
mod instant;
mod json;
mod money;
mod ordered;
mod packed;
mod shown;
mod text_enum;
mod tn;
mod trunk;

pub use filters::Filters;
pub use instant::{now, to_millis};
pub use json::Json;
pub use money::{Money, MoneyError};
pub use ordered::ordered_uuid;
pub use packed::Packed;
pub use shown::Shown;
pub use tn::{Tn, TnError};
pub use trunk::{Dtmf, NumberRule, Party, TrunkRouting};

pub use crate::kinds::*;

pub(crate) use text_enum::text_enum;

/// Lets a newtype stand in a column through another type (`i64`, `String`) that both databases know.
macro_rules! column_through {
    ($name:ty, $inner:ty, $column_type:expr, $into:expr, $from:expr) => {
        impl From<$name> for sea_orm::Value {
            fn from(source: $name) -> Self {
                let into: fn($name) -> $inner = $into;
                into(source).into()
            }
        }

        impl sea_orm::TryGetable for $name {
            fn try_get_by<I: sea_orm::ColIdx>(
                res: &sea_orm::QueryResult,
                index: I,
            ) -> Result<Self, sea_orm::TryGetError> {
                let from: fn($inner) -> Result<$name, String> = $from;
                from(<$inner as sea_orm::TryGetable>::try_get_by(res, index)?)
                    .map_err(|e| sea_orm::TryGetError::DbErr(sea_orm::DbErr::Type(e)))
            }
        }

        impl sea_orm::sea_query::ValueType for $name {
            fn try_from(v: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                let from: fn($inner) -> Result<$name, String> = $from;
                from(<$inner as sea_orm::sea_query::ValueType>::try_from(v)?)
                    .map_err(|_| sea_orm::sea_query::ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                <$inner as sea_orm::sea_query::ValueType>::array_type()
            }

            fn column_type() -> sea_orm::sea_query::ColumnType {
                $column_type
            }
        }

        impl sea_orm::sea_query::Nullable for $name {
            fn null() -> sea_orm::Value {
                <$inner as sea_orm::sea_query::Nullable>::null()
            }
        }

        impl sea_orm::IntoActiveValue<$name> for $name {
            fn into_active_value(self) -> sea_orm::ActiveValue<$name> {
                sea_orm::ActiveValue::Set(self)
            }
        }

        impl sea_orm::sea_query::postgres_array::NotU8 for $name {}
    };
}
pub(crate) use column_through;
