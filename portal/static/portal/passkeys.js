// Forms whose second factor is a passkey: `data-passkey` says what to do, `data-options` with what (WebAuthn, as JSON).
// The browser's answer goes into the form's field `passkey`, as JSON with base64url for bytes, and the form is sent.
const complaint = document.querySelector('[data-passkey-error]');
const MESSAGES = {
  NotAllowedError: 'The passkey was not used: it was cancelled, or took too long. Try again.',
  InvalidStateError: 'This device or key has a passkey for your account already.',
  SecurityError: 'Passkeys do not work at this address. Open Lightbox under its own name, over https.',
  NotSupportedError: 'This device or key is of a kind that is not supported.',
};

function bytes(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function described(credentials) {
  return (credentials ?? []).map((each) => ({ ...each, id: bytes(each.id) }));
}

const CEREMONIES = {
  async create(options) {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: described(options.excludeCredentials),
      },
    });
    return {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: {
        clientDataJSON: text(made.response.clientDataJSON),
        attestationObject: text(made.response.attestationObject),
      },
    };
  },
  async get(options) {
    const shown = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: described(options.allowCredentials),
      },
    });
    return {
      id: shown.id,
      rawId: text(shown.rawId),
      type: shown.type,
      response: {
        clientDataJSON: text(shown.response.clientDataJSON),
        authenticatorData: text(shown.response.authenticatorData),
        signature: text(shown.response.signature),
      },
    };
  },
};

function complain(message) {
  complaint.textContent = message;
  complaint.hidden = false;
}

for (const form of document.querySelectorAll('form[data-passkey]')) {
  form.hidden = !window.PublicKeyCredential;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    complaint.hidden = true;
    try {
      const answer = await CEREMONIES[form.dataset.passkey](JSON.parse(form.dataset.options));
      form.elements.passkey.value = JSON.stringify(answer);
      form.submit();
    } catch (error) {
      complain(MESSAGES[error.name] ?? 'The passkey does not work here. Try another way.');
    }
  });
}
if (!window.PublicKeyCredential) {
  complain(
    window.isSecureContext
      ? 'This browser knows no passkeys. Use another way, or another browser.'
      : 'Passkeys need a secure address (https). Use another way.',
  );
}
