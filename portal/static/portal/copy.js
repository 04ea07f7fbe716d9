// Buttons that copy what stands in the field they name.
for (const button of document.querySelectorAll('button[data-copies]')) {
  button.hidden = !navigator.clipboard;
  button.addEventListener('click', async () => {
    const field = document.getElementById(button.dataset.copies);
    await navigator.clipboard.writeText(field.value);
    field.select();
    button.textContent = 'Copied';
  });
}
