use celes::Country;
use opentact_engine::number;
use serde_json::{Value, json};

/// The entry of a country by its ISO 3166 alpha-2 code, in any case; `None` when there is none.
pub(crate) fn find(a2: &str) -> Option<Value> {
    Country::from_alpha2(a2).ok().map(|country| shown(&country))
}

pub(super) fn all() -> Vec<Value> {
    let mut countries: Vec<Country> = Country::get_countries().to_vec();
    countries.sort_unstable_by_key(|country| country.alpha2);
    countries.iter().map(shown).collect()
}

fn shown(country: &Country) -> Value {
    json!({
        "name": country.long_name,
        "a2": country.alpha2,
        "a3": country.alpha3,
        "n": country.value,
        "country_code": number::calling_code(country.alpha2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_told_with_their_codes() {
        let all = all();
        let of = |a2: &str| all.iter().find(|country| country["a2"] == a2).cloned().unwrap();
        assert_eq!(of("DE"), json!({"name": "Germany", "a2": "DE", "a3": "DEU", "n": 276, "country_code": 49}));
        assert_eq!(of("US")["country_code"], 1);
        // Nobody lives there.
        assert_eq!(of("BV")["country_code"], Value::Null);
        assert!(all.len() > 240);
        assert_eq!(find("ch"), Some(of("CH")));
        assert_eq!(find("ZZ"), None);
    }
}
