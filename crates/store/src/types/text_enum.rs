/// A closed set of words: an enum that is its word in JSON, in a column, in `Display` and in `FromStr`.
macro_rules! text_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        $vis enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word, in the order of the specification.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;
            fn from_str(word: &str) -> Result<$name, $crate::UnknownWord> {
                match word {
                    $($word => Ok($name::$variant),)+
                    other => Err($crate::UnknownWord { kind: stringify!($name), word: other.to_owned() }),
                }
            }
        }

        $crate::types::column_through!(
            $name,
            String,
            sea_orm::sea_query::ColumnType::Text,
            |word| word.as_str().to_owned(),
            |word| word.parse().map_err(|e: $crate::UnknownWord| e.to_string())
        );
    };
}
pub(crate) use text_enum;
