// A real identity provider (node-oidc-provider) for tests. Whoever comes is logged in as the account that `login_hint` names, without a page.
// Told what to do by lines of JSON on its standard input, and ends with it; answers each with a line.
//
// {"accounts": {"jane": {"roles": ["doctors"]}}}   who there is, and what it says of them; amr and acr, if they are there, are of the login
// {"rotate": "k2"}                                  signs with another key from now on, and publishes that alone
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, clientId, clientSecret, redirectUri, method] = process.argv.slice(2);
// It says again and again that it is set up for tests only; and the standard output is for answers.
console.info = console.warn = () => {};
const { default: Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));

let accounts = {};
let provider;

function key(kid) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
}

function make(issuer, kid) {
    const made = new Provider(issuer, {
        clients: [
            {
                client_id: clientId,
                client_secret: clientSecret,
                redirect_uris: [redirectUri],
                token_endpoint_auth_method: method,
            },
        ],
        clientAuthMethods: [method],
        jwks: { keys: [key(kid)] },
        cookies: { keys: [randomUUID()] },
        claims: { openid: ["sub", "amr", "acr"], profile: ["preferred_username", "roles", "realm_access"] },
        conformIdTokenClaims: false,
        pkce: { required: () => true },
        features: { devInteractions: { enabled: false } },
        interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
        async findAccount(_, id) {
            const known = accounts[id];
            return known && { accountId: id, claims: async () => ({ sub: id, preferred_username: id, ...known }) };
        },
        async loadExistingGrant(ctx) {
            const { client, session } = ctx.oidc;
            const grant = new made.Grant({ clientId: client.clientId, accountId: session.accountId });
            grant.addOIDCScope("openid profile");
            await grant.save();
            return grant;
        },
    });
    return made;
}

async function interaction(req, res) {
    const { params } = await provider.interactionDetails(req, res);
    const { amr, acr } = accounts[params.login_hint] ?? {};
    const login = { accountId: params.login_hint, amr, acr, remember: false };
    await provider.interactionFinished(req, res, { login });
}

const server = createServer((req, res) => {
    const served = req.url.startsWith("/interaction/") ? interaction(req, res) : provider.callback()(req, res);
    Promise.resolve(served).catch((error) => {
        res.statusCode = 500;
        res.end(String(error));
    });
});

server.listen(0, "127.0.0.1", () => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    provider = make(issuer, "k1");
    console.log(issuer);
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => {
        const told = JSON.parse(line);
        accounts = told.accounts ?? accounts;
        if (told.rotate) {
            provider = make(issuer, told.rotate);
        }
        console.log("done");
    });
    lines.on("close", () => process.exit(0));
});
