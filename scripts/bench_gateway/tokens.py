"""Keys, tokens and a certificate for the benchmark: made once, kept in the cache folder, good for nothing else."""
import base64, datetime, ipaddress, json, multiprocessing, os, pathlib, time, types
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from machine import FOLDER

ISSUER, AUDIENCE, SCOPE = "https://bench.test", "bench", "patients:read"
ALGORITHMS = ("EdDSA", "RS256", "ES256")
YEARS = 10 * 365 * 86400
KEYS = FOLDER / "keys"


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def whole(number, length=None):
    return b64(number.to_bytes(length or (number.bit_length() + 7) // 8, "big"))


def key(algorithm):
    path = KEYS / f"{algorithm}.pem"
    if path.exists():
        return serialization.load_pem_private_key(path.read_bytes(), None)
    made = {"EdDSA": ed25519.Ed25519PrivateKey.generate, "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1())}[algorithm]()
    write_private(path, made)
    return made


def write_private(path, private):
    KEYS.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def public_pem(algorithm):
    """The path of the public key."""
    path = KEYS / f"{algorithm}.pub"
    path.write_bytes(key(algorithm).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


def jwk(algorithm):
    public, common = key(algorithm).public_key(), {"alg": algorithm, "use": "sig", "kid": algorithm}
    if algorithm == "EdDSA":
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), **common}
    numbers = public.public_numbers()
    if algorithm == "RS256":
        return {"kty": "RSA", "n": whole(numbers.n), "e": whole(numbers.e), **common}
    return {"kty": "EC", "crv": "P-256", "x": whole(numbers.x, 32), "y": whole(numbers.y, 32), **common}


def signer(algorithm):
    private = key(algorithm)
    if algorithm == "EdDSA":
        return private.sign
    if algorithm == "RS256":
        return lambda text: private.sign(text, padding.PKCS1v15(), hashes.SHA256())

    def es256(text):
        r, s = utils.decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return es256


def made(algorithm, numbers):
    """A token each, for users of their own."""
    sign, now = signer(algorithm), int(time.time())
    header = b64(json.dumps({"alg": algorithm, "typ": "JWT", "kid": algorithm}).encode())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "iat_ms": now * 1000, "exp": now + YEARS, "roles": ["clinician"], "scope": SCOPE}
    rest = json.dumps(claims)[1:]
    for number in numbers:
        own = '{"sub": "usr_%016d", "jti": "tok_%016d", "sid": "ses_%016d", ' % (number, number, number)
        text = f"{header}.{b64((own + rest).encode())}"
        yield f"{text}.{b64(sign(text.encode()))}"


def one(algorithm):
    return next(made(algorithm, [0]))


def several(algorithm, count):
    """The path of a file with so many, one a line; made by all processors, and kept for the next time."""
    path = FOLDER / "tokens" / f"{algorithm}-{count}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    step = 5_000
    chunks = [(algorithm, range(begin, min(begin + step, count))) for begin in range(0, count, step)]
    with multiprocessing.Pool() as pool, open(path.with_suffix(".part"), "w") as file:
        for text in pool.imap(lines, chunks):
            file.write(text)
    return path.with_suffix(".part").rename(path)


def lines(chunk):
    return "".join(f"{token}\n" for token in made(*chunk))


def certificate():
    """Paths of a certificate for localhost and its key (P-256): `chain` and `key`."""
    chain, private = KEYS / "tls.crt", KEYS / "tls.key"
    if not chain.exists():
        secret = ec.generate_private_key(ec.SECP256R1())
        name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]), datetime.datetime.now(datetime.timezone.utc)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(seconds=YEARS))
        signed = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(secret, hashes.SHA256())
        write_private(private, secret)
        chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return types.SimpleNamespace(chain=chain, key=private)
