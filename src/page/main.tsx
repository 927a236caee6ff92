import { render } from "preact";
import { App } from "./app.tsx";
import "./styles/base.css";
import "./styles/look-up.css";
import "./styles/many.css";
import "./styles/service.css";

const root = document.getElementById("page");
if (root !== null) {
  render(<App />, root);
}
