import { render } from "preact";
import { App } from "./app.tsx";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/controls.css";
import "./styles/look-up.css";
import "./styles/vehicle.css";
import "./styles/list-form.css";
import "./styles/results.css";
import "./styles/service.css";

const root = document.getElementById("page");
if (root !== null) {
  render(<App />, root);
}
