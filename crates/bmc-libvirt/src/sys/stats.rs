//! libvirt's bulk statistics: one call for all active domains.

use std::collections::HashMap;
use std::ffi::CStr;
use std::ptr;

use uuid::Uuid;
use virt::connect::Connect;
use virt::error::{Error, ErrorNumber};
use virt_sys as c;

use super::uuid_of;

/// What libvirt counts of one domain: names such as `cpu.time` (the manual of `virDomainListGetStats` has them all) and their numbers.
/// What is no number, or negative, is left out.
pub(crate) type Counters = HashMap<String, u64>;

/// The groups that hold what [`crate::statistics`] needs.
const GROUPS: u32 = c::VIR_DOMAIN_STATS_CPU_TOTAL
    | c::VIR_DOMAIN_STATS_VCPU
    | c::VIR_DOMAIN_STATS_BALLOON
    | c::VIR_DOMAIN_STATS_INTERFACE
    | c::VIR_DOMAIN_STATS_BLOCK;

/// Asks for the counters of every active domain. A domain that is busy with another operation is not waited for: some of its counters
/// are missing then.
///
/// # Errors
/// libvirt's.
pub(crate) fn domain_stats(connect: &Connect) -> Result<Vec<(Uuid, Counters)>, Error> {
    let active = c::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
    match ask(connect, active | c::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) {
        // Drivers that never wait do not know that flag.
        Err(error) if error.code().is(ErrorNumber::InvalidArg) => ask(connect, active),
        answer => answer,
    }
}

fn ask(connect: &Connect, flags: u32) -> Result<Vec<(Uuid, Counters)>, Error> {
    let mut records = ptr::null_mut();
    // SAFETY: the connection is alive, `records` is a local that outlives the call.
    let count = unsafe { c::virConnectGetAllDomainStats(connect.as_ptr(), GROUPS, &raw mut records, flags) };
    let Ok(count) = usize::try_from(count) else { return Err(Error::last_error()) };
    let mut domains = Vec::with_capacity(count);
    if !records.is_null() {
        // SAFETY: libvirt has written `count` pointers to records, each with a domain and `nparams` parameters, and leaves them to us until
        // they are freed, which is the last thing done. All that is kept is copied.
        unsafe {
            for &record in std::slice::from_raw_parts(records, count) {
                if let Some(uuid) = uuid_of((*record).dom) {
                    domains.push((uuid, counters(&*record)));
                }
            }
            c::virDomainStatsRecordListFree(records);
        }
    }
    Ok(domains)
}

/// The numbers of a record.
///
/// # Safety
/// libvirt wrote the record, and it has not been freed.
unsafe fn counters(record: &c::virDomainStatsRecord) -> Counters {
    let count = usize::try_from(record.nparams).unwrap_or(0);
    if record.params.is_null() || count == 0 {
        return Counters::new();
    }
    // SAFETY: the caller vouches for the record.
    let parameters = unsafe { std::slice::from_raw_parts(record.params, count) };
    let number = |parameter: &c::virTypedParameter| {
        let value = &parameter.value;
        // SAFETY: the type says which field of the union libvirt has written.
        unsafe {
            match u32::try_from(parameter.type_).ok()? {
                c::VIR_TYPED_PARAM_INT => u64::try_from(value.i).ok(),
                c::VIR_TYPED_PARAM_UINT => Some(value.ui.into()),
                c::VIR_TYPED_PARAM_LLONG => u64::try_from(value.l).ok(),
                c::VIR_TYPED_PARAM_ULLONG => Some(value.ul),
                _ => None,
            }
        }
    };
    let named = parameters.iter().filter_map(|parameter| {
        // SAFETY: libvirt ends the name, which is part of the record, with a zero.
        let name = unsafe { CStr::from_ptr(parameter.field.as_ptr()) };
        Some((name.to_string_lossy().into_owned(), number(parameter)?))
    });
    named.collect()
}
