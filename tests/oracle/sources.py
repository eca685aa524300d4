"""Where the stores' contents come from: a ledger by its address, an archive's files by theirs.

Nothing here is the project's code: sqlite3, PyMySQL, Hadoop's own file shell, and plain HTTP to S3.
"""
import os
import pathlib
import subprocess
import tempfile
import urllib.parse
import urllib.request
import xml.etree.ElementTree


def ledger(where):
    """A function from SQL to rows; `where` is a SQLite file or mysql://user@host:port/base."""
    if where.startswith("mysql://"):
        import pymysql

        at = urllib.parse.urlsplit(where)
        base = pymysql.connect(host=at.hostname, port=at.port, user=at.username, password=at.password or "",
                               database=at.path.strip("/"), connect_timeout=10, read_timeout=60)

        def ask(sql):
            with base.cursor() as cursor:
                cursor.execute(sql)
                # Sums are Decimal, names of types bytes where the collation is binary.
                return [tuple(plain(value) for value in row) for row in cursor.fetchall()]

        return ask
    import sqlite3

    return sqlite3.connect(f"file:{where}?mode=ro", uri=True).execute


def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    return value if value is None or isinstance(value, str) else int(value)


def archive(where):
    """Pairs of relative path parts and content of every Avro file below a folder,
    hdfs://host:port/path, or s3+http://host:port/bucket/prefix."""
    if where.startswith("s3+"):
        files = of_s3(where.removeprefix("s3+"))
    elif where.startswith("hdfs://"):
        files = of_hdfs(where.rstrip("/"))
    else:
        files = of_folder(where)
    # What is still being written or was left by a crash begins with a dot or an underscore.
    return ((parts, content) for parts, content in files if not any(part[0] in "._" for part in parts))


def fetch(url):
    # The S3 of the tests refuses who names no key; which one it is, it does not check.
    named = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": named}), timeout=60) as answer:
        return answer.read()


def of_folder(root):
    for path in sorted(pathlib.Path(root).rglob("*.avro")):
        yield path.relative_to(root).parts, path.read_bytes()


def of_hdfs(url):
    """Hadoop's own client fetches the whole tree; PENSTOCK_TEST_HDFS_CLASSPATH says where it lies."""
    with tempfile.TemporaryDirectory() as folder:
        shell = ["java", "-XX:TieredStopAtLevel=1", "-cp", os.environ["PENSTOCK_TEST_HDFS_CLASSPATH"],
                 "org.apache.hadoop.fs.FsShell", "-copyToLocal", url, folder + "/all"]
        done = subprocess.run(shell, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise SystemExit(f"{url} could not be fetched: {done.stdout}{done.stderr}")
        yield from of_folder(folder + "/all")


def of_s3(url):
    at = urllib.parse.urlsplit(url)
    bucket, _, prefix = at.path.strip("/").partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    root, after = f"{at.scheme}://{at.netloc}/{bucket}", ""
    while True:
        page = xml.etree.ElementTree.fromstring(fetch(
            f"{root}?list-type=2&" + urllib.parse.urlencode({"prefix": prefix, "start-after": after})))
        keys = [e.text for e in page.iter() if e.tag.split("}")[-1] == "Key"]
        for key in keys:
            if key.endswith(".avro"):
                yield tuple(key.removeprefix(prefix).split("/")), fetch(root + "/" + urllib.parse.quote(key))
        if not keys:
            return
        after = keys[-1]
