"""Addresses, hosts with ports, files and folders: their dots do not end sentences."""

import pytest

from models.text import split_sentences
from tests.models.text.reading import check

READ = {
    "autogen.sh": "autogen dot sh",
    "tryjarvis.in": "tryjarvis dot in",
    "node.js is": "node dot js is",
    "README.md": "readme dot md",
    "example.co.uk": "example dot co dot uk",
    "see main.py.": "see main dot py.",
    "3.txt": "three dot txt",
    "open 12.jpg now": "open one two dot jpg now",
    "see 1.pdf.": "see one dot pdf.",
    "2024.csv": "two zero two four dot csv",
    "Chapter 3.Then": "Chapter three. Then",
    "v2.3.1": "version two point three point one",
    "Python 3.11": "Python three point one one",
    "setup.py install": "setup dot py install",
    "foo.bar.baz": "foo dot bar dot baz",
    "www.example.com": "example dot com",
    "https://example.com/path?x=1": "example dot com",
    "ASP.NET": "ay ess pee dot net",
    ".NET": "dot net",
    ".gitignore": "dot gitignore",
    ".env": "dot env",
    "System.out.println": "System dot out dot println",
    "os.path": "os dot path",
    "I left.Then he came.": "I left. Then he came.",
    "Dr.Who": "Doctor Who",
    "J.Smith": "jay Smith",
    "No.5": "number five",
    "e.g. this": "for example this",
    "i.e. that": "that is that",
    "U.S.A. today": "you ess ay today",
    "a.m.": "ay em.",
    "example.com.": "example dot com.",
    "user.name@mail.example.org": "user dot name at mail dot example dot org",
    "file.tar.gz": "file dot tar dot gz",
    "index.html": "index dot html",
    "package.json": "package dot json",
    "Mr.Smith": "Mister Smith",
    "St.Louis": "Saint Louis",
    "3.5mm": "three point five millimeters",
    "1.2k": "one point two kay",
    "IMDB.com": "eye em dee bee dot com",
    "google.com/search": "google dot com slash search",
    "C:\\Users\\me": "see colon backslash Users backslash me",
    "./run.sh": "dot slash run dot sh",
    "../src/a.c": "dot dot slash src slash ay dot see",
    "~/docs": "tilde slash docs",
    "/usr/bin/env": "slash usr slash bin slash env",
    "/etc/hosts": "slash etc slash hosts",
    "and/or": "and or",
    "src/main.py": "src slash main dot py",
    "root@server": "root at server",
    "git@github.com:user/repo.git": "git at github dot com colon user slash repo dot git",
    "app.py:42": "app dot py colon four two",
    "Ph.D. student": "pee aitch dee student",
    "p.m.": "pee em.",
    "Yahoo.com": "Yahoo dot com",
    "The end.And": "The end. And",
    "0.0.0.0:9090/test": "zero dot zero dot zero dot zero colon nine zero nine zero slash test",
    "192.168.0.1:8080/path": "one nine two dot one six eight dot zero dot one colon eight zero "
    "eight zero slash path",
    "localhost:3000": "localhost colon three zero zero zero",
    "http://localhost:3000/api": "localhost colon three zero zero zero",
    "127.0.0.1": "one two seven dot zero dot zero dot one",
    "10.0.0.0/8": "one zero dot zero dot zero dot zero slash eight",
    "db:5432": "db colon five four three two",
    "example.com:443": "example dot com colon four four three",
    "https://example.com:8443/x": "example dot com colon eight four four three",
    "redis://localhost:6379": "localhost colon six three seven nine",
    "8.8.8.8": "eight dot eight dot eight dot eight",
    "user@10.0.0.1": "user at one zero dot zero dot zero dot one",
    "10:30": "ten thirty",
    "at host.local:22": "at host dot local colon two two",
    "255.255.255.0": "two five five dot two five five dot two five five dot zero",
    "ftp://ftp.example.org/pub": "ftp dot example dot org",
    "see google.com/search?q=x": "see google dot com slash search",
    "example.com/a?b=c&d=e now": "example dot com slash ay now",
    "bbc.co.uk/news#top=1": "bbc dot co dot uk slash news",
    "docs.rs/serde?x=1": "docs dot rs slash serde",
    "Is it example.com?": "Is it example dot com?",
    "fe80::1": "eff ee eight zero colon colon one",
    "[::1]:8080": "colon colon one colon eight zero eight zero",
    "2001:db8::1": "two zero zero one colon dee bee eight colon colon one",
    "00:1A:2B:3C:4D:5E": "zero zero colon one ay colon two bee colon three see colon four "
    "dee colon five ee",
    "-p 8080:80": "pee eight zero eight zero colon eight zero",
    "tcp/443": "tee see pee slash four four three",
    "port 443/udp": "port four four three slash you dee pee",
    "port 8080": "port eight zero eight zero",
    "listens on :8080": "listens on colon eight zero eight zero",
    "std::vector": "std: vector",
    "at 12:30:45": "at twelve thirty and forty five seconds",
}


@pytest.mark.parametrize(("written", "said"), READ.items())
def test_readings(written: str, said: str) -> None:
    check(written, said)


@pytest.mark.parametrize(
    "written",
    [
        "Run autogen.sh now.",
        "See tryjarvis.in today.",
        "Use .NET or node.js?",
        "Is it at 0.0.0.0:9090/test?",
    ],
)
def test_dots_within_words_do_not_end_sentences(written: str) -> None:
    assert split_sentences(written) == [written]
