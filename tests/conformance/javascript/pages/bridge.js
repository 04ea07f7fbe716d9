// Between the test and the page: arguments come in and answers go out as JSON, with bytes as {"$bytes": base64}.

function encode(view) {
  let text = '';
  for (let start = 0; start < view.length; start += 0x8000) {
    text += String.fromCharCode(...view.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

function outward(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const view = ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value);
    return {
      $bytes: encode(view),
      contentType: value.contentType ?? null,
      transferSyntaxUID: value.transferSyntaxUID ?? null,
    };
  }
  if (Array.isArray(value)) return value.map(outward);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, outward(each)]));
  }
  return value === undefined ? null : value;
}

function inward(value) {
  if (Array.isArray(value)) return value.map(inward);
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.$bytes === 'string') return Uint8Array.from(atob(value.$bytes), (each) => each.charCodeAt(0)).buffer;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inward(each)]));
}

// What a failed XMLHttpRequest let the page see: nothing but status 0 where the CORS headers are missing.
function refusal(request) {
  const fields = request.getAllResponseHeaders().trim().split('\r\n').filter(Boolean);
  const headers = Object.fromEntries(fields.map((line) => [line.split(': ')[0], line.slice(line.indexOf(': ') + 2)]));
  const body = request.response instanceof ArrayBuffer ? new TextDecoder().decode(request.response) : request.response;
  return { status: request.status, headers, body };
}

export function offer(functions) {
  window.call = async (name, argument) => {
    try {
      const late = new Promise((_, fail) => setTimeout(() => fail(new Error('no answer in 60 s')), 60_000));
      return { value: outward(await Promise.race([functions[name](inward(argument)), late])) };
    } catch (error) {
      const request = error instanceof XMLHttpRequest ? error : (error?.request ?? error?.error?.request);
      if (request instanceof XMLHttpRequest) return { refused: refusal(request) };
      return { failed: String(error?.stack ?? error?.error ?? error) };
    }
  };
  window.ready = true;
}
