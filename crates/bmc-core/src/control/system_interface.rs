//! The device by which the guest reaches its BMC: in the machine's definition, from its next start on.

use crate::control::operate::busy;
use crate::control::{Control, Effect, Op, RequestId, Waiters};
use crate::system_interface::SystemInterfaceDevice;

impl Control {
    pub(super) fn request_system_interface(
        &mut self,
        id: RequestId,
        device: Option<Box<SystemInterfaceDevice>>,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.reachable() {
            effects.push(Effect::Reply(id, Err(error.into())));
        } else if self.call.is_some() || self.drives.calling() {
            effects.push(Effect::Reply(id, Err(busy())));
        } else {
            self.call(Op::SetSystemInterface(device), Waiters::one(id), effects);
        }
    }
}
