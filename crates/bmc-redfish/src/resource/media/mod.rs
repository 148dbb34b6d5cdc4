//! `VirtualMedia`: the BMC's drives. Clients look for them below the System or below the Manager; both show the same drives.

mod certificates;
mod insert;

use bmc_core::media::{MediaSlot, TransferMethod};
use bmc_core::settings::media::{Drive, Medium};
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::privilege::Privilege;
use crate::resource::{Call, Uris, collection, link, resource, with};
use crate::routes::{Access, Route, delete, get, patch, post};
use crate::schema;

/// Below which resource a drive is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    System,
    Manager,
}

/// The ids of the drives.
const IDS: [(&str, MediaSlot); 2] = [("Cd", MediaSlot::Cd), ("Usb", MediaSlot::Usb)];

/// The values of `TransferMethod`.
const METHODS: [(&str, TransferMethod); 2] =
    [("Stream", TransferMethod::Stream), ("Upload", TransferMethod::Upload)];

/// The routes below one resource. Drives are the manager's in DMTF's registry, wherever they are found; certificates belong to the resource.
macro_rules! routes {
    ($name:ident, $base:literal, $tree:expr, $needs:expr, $certificates:expr) => {
        /// The drives, as they are found below this resource.
        pub(crate) static $name: &[Route] = &[
            Route {
                path: concat!($base, "/VirtualMedia"),
                verbs: &[get(|call| show_all(call, $tree), "VirtualMediaCollection: the BMC's drives")],
            },
            Route {
                path: concat!($base, "/VirtualMedia/{member}"),
                verbs: &[
                    get(|call| show(call, $tree), "VirtualMedia: what is in a drive"),
                    patch(
                        $needs,
                        |call| Box::pin(insert::patch(call, $tree)),
                        "`Image` inserts, null or `Inserted` false ejects; `VerifyCertificate`",
                    )
                    .secret(&["Password"]),
                ],
            },
            Route {
                path: concat!($base, "/VirtualMedia/{member}/Actions/VirtualMedia.InsertMedia"),
                verbs: &[post(
                    $needs,
                    |call| Box::pin(insert::insert(call, $tree)),
                    "fetches an image and puts it into the drive; 202 with a Task when it takes long",
                )
                .secret(&["Password"])],
            },
            Route {
                path: concat!($base, "/VirtualMedia/{member}/Actions/VirtualMedia.EjectMedia"),
                verbs: &[post($needs, |call| Box::pin(insert::eject(call, $tree)), "empties the drive")],
            },
            Route {
                path: concat!($base, "/VirtualMedia/{member}/Certificates"),
                verbs: &[
                    get(
                        |call| certificates::show_all(call, $tree),
                        "CertificateCollection: who is trusted for this drive's images",
                    )
                    .access(Access::Needs($certificates)),
                    post(
                        $certificates,
                        |call| Box::pin(certificates::add(call, $tree)),
                        "trusts a certificate, as PEM",
                    ),
                ],
            },
            Route {
                path: concat!($base, "/VirtualMedia/{member}/Certificates/{leaf}"),
                verbs: &[
                    get(|call| certificates::show(call, $tree), "Certificate")
                        .access(Access::Needs($certificates)),
                    delete(
                        $certificates,
                        |call| Box::pin(certificates::remove(call, $tree)),
                        "trusts a certificate no longer",
                    ),
                ],
            },
        ];
    };
}

routes!(
    SYSTEM_ROUTES,
    "/redfish/v1/Systems/{id}",
    Tree::System,
    Privilege::ConfigureManager,
    Privilege::ConfigureComponents
);
routes!(
    MANAGER_ROUTES,
    "/redfish/v1/Managers/{id}",
    Tree::Manager,
    Privilege::ConfigureManager,
    Privilege::ConfigureManager
);

impl Tree {
    /// The kind of the resource that has the drives, for messages.
    fn kind(self) -> &'static str {
        match self {
            Self::System => "ComputerSystem",
            Self::Manager => "Manager",
        }
    }

    /// The URI of the collection.
    fn uri(self, snapshot: &Snapshot) -> String {
        let uris = Uris::of(snapshot);
        collection_uri(match self {
            Self::System => &uris.system,
            Self::Manager => &uris.manager,
        })
    }
}

/// The URI of the drives of a System or Manager.
pub(super) fn collection_uri(owner: &str) -> String {
    format!("{owner}/VirtualMedia")
}

/// The URI of a drive of a System or Manager.
pub(crate) fn drive_uri(owner: &str, slot: MediaSlot) -> String {
    format!("{}/{}", collection_uri(owner), id_of(slot))
}

fn id_of(slot: MediaSlot) -> &'static str {
    IDS.iter().find(|(_, known)| *known == slot).map_or("", |(id, _)| id)
}

/// The drive that a URI names.
fn slot_of(call: &Call<'_>) -> Result<MediaSlot, Problem> {
    let found = IDS.iter().find(|(id, _)| *id == call.member).map(|(_, slot)| *slot);
    found.ok_or_else(|| Problem::not_found("VirtualMedia", call.member))
}

fn uri_of(snapshot: &Snapshot, tree: Tree, slot: MediaSlot) -> String {
    format!("{}/{}", tree.uri(snapshot), id_of(slot))
}

fn show_all(call: &Call<'_>, tree: Tree) -> Result<Value, Problem> {
    let snapshot = call.service.machine(tree.kind(), call.id)?.snapshot();
    let members = MediaSlot::ALL.map(|slot| uri_of(&snapshot, tree, slot));
    let uri = tree.uri(&snapshot);
    Ok(collection::render(schema::VIRTUAL_MEDIA_COLLECTION, &uri, "Virtual Media", &members))
}

fn show(call: &Call<'_>, tree: Tree) -> Result<Value, Problem> {
    let snapshot = call.service.machine(tree.kind(), call.id)?.snapshot();
    Ok(render(&snapshot, tree, slot_of(call)?))
}

fn render(snapshot: &Snapshot, tree: Tree, slot: MediaSlot) -> Value {
    let drive: &Drive = snapshot.settings.media.drive(slot);
    let medium = drive.medium.as_ref();
    let uri = uri_of(snapshot, tree, slot);
    let (name, types) = match slot {
        MediaSlot::Cd => ("Virtual CD/DVD", ["CD", "DVD"]),
        MediaSlot::Usb => ("Virtual USB Disk", ["USBStick", "Floppy"]),
    };
    let inserting = snapshot.inserting.iter().any(|(busy, _)| *busy == slot);
    let members = json!({
        "MediaTypes": types,
        "Image": medium.map(|medium| medium.image.as_str()),
        "ImageName": medium.map(Medium::name),
        "Inserted": medium.is_some(),
        "ConnectedVia": if medium.is_some() { "URI" } else { "NotConnected" },
        "WriteProtected": medium.is_none_or(|medium| medium.write_protected),
        "TransferMethod": medium.map(|medium| name_of(medium.method)),
        "TransferProtocolType": medium.and_then(|medium| insert::protocol_of(&medium.image)),
        "UserName": medium.and_then(|medium| medium.username.as_deref()),
        "Password": null,
        "VerifyCertificate": drive.verify_certificate,
        "Certificates": link(&format!("{uri}/Certificates")),
        "Status": {"State": if inserting { "Updating" } else { "Enabled" }, "Health": "OK"},
        "Actions": {
            "#VirtualMedia.InsertMedia": {
                "target": format!("{uri}/Actions/VirtualMedia.InsertMedia"),
                "TransferProtocolType@Redfish.AllowableValues": insert::PROTOCOLS.map(|(name, _)| name),
                "TransferMethod@Redfish.AllowableValues": METHODS.map(|(name, _)| name),
            },
            "#VirtualMedia.EjectMedia": {"target": format!("{uri}/Actions/VirtualMedia.EjectMedia")},
        },
    });
    with(resource(schema::VIRTUAL_MEDIA, &uri, id_of(slot), name), members)
}

fn name_of(method: TransferMethod) -> &'static str {
    METHODS.iter().find(|(_, known)| *known == method).map_or("Upload", |(name, _)| name)
}
