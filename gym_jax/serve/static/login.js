// The token goes once in a header; what the browser keeps is a cookie that can not be turned back into it.

const said = document.getElementById("said");

document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = document.getElementById("token").value.trim();
  try {
    const answer = await fetch("api/session", { headers: { Authorization: `Bearer ${token}` } });
    if (answer.ok) location.replace("./");
    else said.textContent = "That is not the token.";
  } catch {
    said.textContent = "The server does not answer.";
  }
});
