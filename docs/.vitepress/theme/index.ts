/** The default theme, with colours that everybody can read. */
import DefaultTheme from "vitepress/theme";
import "./custom.css";

export default DefaultTheme;
