// Takes the secret out of the address bar and the history, and posts it only when the button is pressed: programs that
// look at links in mails don't use them up.
const form = document.querySelector('#open');
const pinField = document.querySelector('#pin-field');
const pin = document.querySelector('#pin');
const error = document.querySelector('#error');
const button = form.querySelector('button');
const INCOMPLETE = 'This address is not complete, or the link has ended. Open the link again as you received it.';

let secret = window.location.hash.slice(1);
window.history.replaceState(null, '', window.location.pathname);

const tell = text => {
  error.textContent = text;
  error.hidden = !text;
};

const readSecret = () => {
  form.hidden = !secret;
  tell(secret ? '' : INCOMPLETE);
  if (secret) button.focus();
};

const goOn = answer => {
  if (answer.archives.length === 0) {
    window.location.replace(answer.viewer);
    return;
  }
  const list = document.querySelector('#archives');
  document.querySelector('#viewer').href = answer.viewer;
  list.replaceChildren(
    ...answer.archives.map((address, index) => {
      const item = document.createElement('li');
      const link = document.createElement('a');
      link.href = address;
      link.textContent = answer.archives.length === 1 ? 'Download (zip)' : `Download study ${index + 1} (zip)`;
      item.append(link);
      return item;
    }),
  );
  form.hidden = true;
  document.querySelector('#choice').hidden = false;
  document.querySelector('#viewer').focus();
};

form.addEventListener('submit', async event => {
  event.preventDefault();
  button.disabled = true;
  tell('');
  const body = new URLSearchParams(new FormData(form));
  body.set('secret', secret);
  try {
    const response = await fetch(form.action, { method: 'POST', body });
    const answer = await response.json();
    if (response.ok) {
      secret = '';
      goOn(answer);
      return;
    }
    const asked = pinField.hidden;
    if (answer.code === 'pin-needed') pinField.hidden = false;
    tell(answer.code === 'pin-needed' && asked ? '' : answer.detail);
    if (!pinField.hidden) {
      pin.required = true;
      pin.value = '';
      pin.focus();
    }
  } catch {
    tell('The server can’t be reached now. Try again.');
  } finally {
    button.disabled = false;
  }
});

window.addEventListener('hashchange', () => window.location.reload());
readSecret();
