// Passkeys: what the client wants, asked of the browser, and only what may leave it handed back. A credential's own `toJSON()` would
// give the output of the `prf` extension away with the rest, so each member is named.

interface Asked {
  /** As `PublicKeyCredential.parseCreationOptionsFromJSON` takes them. */
  readonly options: Record<string, unknown>;
  /** Input of the `prf` extension, base64. */
  readonly prf: string;
}

interface Answer {
  readonly credential?: Record<string, string>;
  readonly prf?: string;
  readonly error?: string;
}

export async function createPasskey(asked: Asked): Promise<Answer> {
  const options = asked.options as unknown as CreationOptions;
  return ceremony(async () => {
    const credential = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: options.excludeCredentials.map(described),
        extensions: { prf: { eval: { first: fromBase64(asked.prf) } } },
      } as unknown as PublicKeyCredentialCreationOptions,
    });
    const made = credential as PublicKeyCredential;
    const response = made.response as AuthenticatorAttestationResponse;
    return {
      credential: {
        id: text(made.rawId),
        client_data_json: text(response.clientDataJSON),
        attestation_object: text(response.attestationObject),
      },
      ...derived(made),
    };
  });
}

export async function getPasskey(asked: Asked): Promise<Answer> {
  const options = asked.options as unknown as RequestOptions;
  return ceremony(async () => {
    const credential = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: options.allowCredentials.map(described),
        extensions: { prf: { eval: { first: fromBase64(asked.prf) } } },
      } as unknown as PublicKeyCredentialRequestOptions,
    });
    const given = credential as PublicKeyCredential;
    const response = given.response as AuthenticatorAssertionResponse;
    return {
      credential: {
        id: text(given.rawId),
        client_data_json: text(response.clientDataJSON),
        authenticator_data: text(response.authenticatorData),
        signature: text(response.signature),
        ...(response.userHandle === null ? {} : { user_handle: text(response.userHandle) }),
      },
      ...derived(given),
    };
  });
}

interface Descriptor {
  readonly type: string;
  readonly id: string;
}

interface CreationOptions {
  readonly challenge: string;
  readonly user: { readonly id: string };
  readonly excludeCredentials: readonly Descriptor[];
}

interface RequestOptions {
  readonly challenge: string;
  readonly allowCredentials: readonly Descriptor[];
}

async function ceremony(run: () => Promise<Answer>): Promise<Answer> {
  try {
    return await run();
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "AbortError") return { error: "not-confirmed" };
    if (name === "InvalidStateError") return { error: "has-one" };
    return { error: error instanceof Error ? error.message : "the browser has no passkeys" };
  }
}

/** What the `prf` extension gave; not every authenticator can. */
function derived(credential: PublicKeyCredential): { prf?: string } {
  const results = credential.getClientExtensionResults() as { prf?: { results?: { first?: BufferSource } } };
  const first = results.prf?.results?.first;
  if (first === undefined) return {};
  const raw = ArrayBuffer.isView(first) ? new Uint8Array(first.buffer as ArrayBuffer, first.byteOffset, first.byteLength) : new Uint8Array(first);
  return { prf: toBase64(raw) };
}

function described(descriptor: Descriptor): { type: string; id: Uint8Array<ArrayBuffer> } {
  return { type: descriptor.type, id: bytes(descriptor.id) };
}

/** base64url without padding, as every message has it. */
function bytes(value: string): Uint8Array<ArrayBuffer> {
  return fromBase64(value.replaceAll("-", "+").replaceAll("_", "/"));
}

function text(value: ArrayBuffer): string {
  return toBase64(new Uint8Array(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function toBase64(value: Uint8Array): string {
  let binary = "";
  for (const byte of value) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function fromBase64(value: string): Uint8Array<ArrayBuffer> {
  const binary = atob(value);
  const found = new Uint8Array(binary.length);
  for (let n = 0; n < binary.length; n += 1) found[n] = binary.charCodeAt(n);
  return found;
}
