//! What stays of images that nobody has in a drive, and who makes way for whom.

use super::*;

/// A server with an image of 1,000 bytes for each name, the same as long as it lives; with an ETag, unless the name says otherwise.
async fn images() -> Server {
    Server::start(|head| {
        let name = head.split(' ').nth(1).unwrap_or_default().to_owned();
        Play::Send(if head.contains("if-none-match: \"v1\"") {
            answer("304 Not Modified", "ETag: \"v1\"\r\n", b"")
        } else {
            let tag = if name.contains("untagged") { "" } else { "ETag: \"v1\"\r\n" };
            let body: Vec<u8> = name.bytes().cycle().take(1000).collect();
            answer("200 OK", &format!("{tag}Content-Length: 1000\r\n"), &body)
        })
    })
    .await
}

fn named(server: &Server, name: &str) -> String {
    server.url.replace("image.iso", name)
}

/// How often an image came whole.
fn downloads(server: &Server, name: &str) -> usize {
    let line = format!("get /{name} ");
    server.requests().iter().filter(|head| head.starts_with(&line) && !head.contains("if-none-match")).count()
}

#[tokio::test]
async fn what_was_ejected_is_there_for_the_next_machine() {
    let lab = lab_with(Limits { cache_bytes: 2000, ..Limits::default() });
    let server = images().await;
    let one = lab.fetch(&named(&server, "a")).await.unwrap();
    lab.spool.release(&one.lease);
    assert_eq!(lab.files(), std::slice::from_ref(&one.file));
    let two = lab.fetch(&named(&server, "a")).await.unwrap();
    assert_eq!((&two.file, downloads(&server, "a")), (&one.file, 1));
    lab.spool.release(&two.lease);

    // No more than the limit, and the one that was not in use for longest goes: here b, as a was used again.
    for name in ["b", "a", "c"] {
        let image = lab.fetch(&named(&server, name)).await.unwrap();
        lab.spool.release(&image.lease);
    }
    assert_eq!(lab.files().len(), 2);
    for name in ["a", "c"] {
        lab.fetch(&named(&server, name)).await.unwrap();
        assert_eq!(downloads(&server, name), 1, "{name}");
    }
    // What cannot be asked for again, and what was written to, does not stay.
    let untagged = lab.fetch(&named(&server, "untagged")).await.unwrap();
    let private = MediaSource { private: true, ..source(&named(&server, "p")) };
    let private = lab.spool.fetch(&private).await.unwrap();
    lab.spool.release(&untagged.lease);
    lab.spool.release(&private.lease);
    assert!(!untagged.file.exists() && !private.file.exists());
}

#[tokio::test]
async fn all_images_together_have_a_limit_for_which_the_unused_make_way() {
    let lab = lab_with(Limits { spool_bytes: 2500, ..Limits::default() });
    let server = images().await;
    let a = lab.fetch(&named(&server, "a")).await.unwrap();
    let b = lab.fetch(&named(&server, "b")).await.unwrap();
    // Both are in drives: nothing can make way.
    let error = lab.fetch(&named(&server, "c")).await.unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::NoSpace, "{error}");
    assert!(error.message.contains("spool_max_mib"), "{error}");
    assert_eq!(lab.files().len(), 2);
    lab.spool.release(&b.lease);
    assert!(b.file.exists());
    let c = lab.fetch(&named(&server, "c")).await.unwrap();
    assert!(!b.file.exists() && a.file.exists() && c.file.exists());
    // What was given back can be had again, however often.
    lab.spool.release(&c.lease);
    for name in ["d", "e", "f", "untagged"] {
        let image = lab.fetch(&named(&server, name)).await.unwrap();
        lab.spool.release(&image.lease);
    }
    let last = lab.fetch(&named(&server, "g")).await.unwrap();
    assert_eq!(std::fs::read(&last.file).unwrap().len(), 1000);
    assert!(a.file.exists(), "what is in a drive stays");
}

#[tokio::test]
async fn what_somebody_removed_or_cut_is_fetched_again() {
    let lab = lab_with(Limits::default());
    let server = images().await;
    let one = lab.fetch(&named(&server, "a")).await.unwrap();
    std::fs::remove_file(&one.file).unwrap();
    let two = lab.fetch(&named(&server, "a")).await.unwrap();
    assert_eq!((std::fs::read(&two.file).unwrap().len(), downloads(&server, "a")), (1000, 2));
    lab.spool.release(&two.lease);
    std::fs::write(&two.file, b"cut").unwrap();
    let three = lab.fetch(&named(&server, "a")).await.unwrap();
    assert_eq!(std::fs::read(&three.file).unwrap().len(), 1000);
}

#[tokio::test]
async fn what_is_in_no_drive_does_not_outlive_the_daemon() {
    let lab = lab_with(Limits::default());
    let server = images().await;
    let held = lab.fetch(&named(&server, "a")).await.unwrap();
    let unused = lab.fetch(&named(&server, "b")).await.unwrap();
    lab.spool.release(&unused.lease);
    let Lab { folder, spool } = lab;
    drop(spool);
    assert!(held.file.exists() && !unused.file.exists());
    drop(folder);
}
