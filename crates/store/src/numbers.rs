//! Telephone numbers: the inventory, price profiles, orders and leases.

mod leases;
mod orders;
mod prices;
mod special_prices;
mod terms;

pub use leases::{LeaseFilter, NewLease};
pub use orders::{NewOrder, OrderError, OrderFilter, OrderItem};
pub(crate) use prices::seed;
pub use prices::{OWN, Prices, TnProfile};
pub use special_prices::SpecialPrice;
pub(crate) use special_prices::prices;

use crate::Store;
pub use crate::entity::tn::Model as Number;
pub use crate::entity::tn_lease::Model as TnLease;
pub use crate::entity::tn_order::Model as TnOrder;

impl Store {
    pub fn numbers(&self) -> Numbers<'_> {
        Numbers { store: self }
    }
}

pub struct Numbers<'a> {
    store: &'a Store,
}
